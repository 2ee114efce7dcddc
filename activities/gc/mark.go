package gc

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"github.com/rebased/rebased"
)

// The mark at rebased.CollectingKey is a lease: it is written anew while versions or answers go, and counts for nothing once it is as old as Lapse.
// A collection that could not write it for half of that stops. So one that was killed keeps no build for longer than Lapse, and one that was cut off
// removes nothing that a build may use which did not wait for it.
const (
	Lapse      = 10 * time.Minute
	renewed    = 30 * time.Second
	heldAtMost = Lapse / 2
)

type lease struct {
	token string
	etag  string
	at    time.Time // when it was written last, by the clock of this process
	count int
}

// mark writes the mark, over what an earlier attempt has left.
func (c *Collector) mark(ctx context.Context) error {
	l := &lease{token: rand.Text()}
	_, etag, err := c.Objects.Get(ctx, rebased.CollectingKey)
	switch kind := rebased.KindOf(err); {
	case kind == rebased.NotFound:
	case err != nil:
		return fmt.Errorf("look for the mark of another collection: %w", err)
	default:
		l.etag = etag
	}
	if err := l.write(ctx, c.Objects, c.Now); err != nil {
		return err
	}
	c.lease = l
	return nil
}

func (l *lease) write(ctx context.Context, objects rebased.Objects, since time.Time) (err error) {
	l.count++
	body, err := json.Marshal(map[string]any{"since": since, "token": l.token, "renewed": l.count})
	if err != nil {
		return err
	}
	at := time.Now()
	if l.etag == "" {
		l.etag, err = objects.PutIfAbsent(ctx, rebased.CollectingKey, body)
	} else {
		l.etag, err = objects.PutIfMatch(ctx, rebased.CollectingKey, l.etag, body)
	}
	if rebased.KindOf(err) == rebased.Conflict {
		return rebased.E(rebased.Unavailable, "another attempt of this collection goes on")
	}
	if err != nil {
		return fmt.Errorf("mark that a collection runs: %w", err)
	}
	l.at = at
	return nil
}

// held makes sure that builds still wait. It is called before every removal, and while what is needed is found out.
func (c *Collector) held(ctx context.Context) error {
	if c.lease == nil { // a dry run, or a kind that needs none
		return ctx.Err()
	}
	switch age := time.Since(c.lease.at); {
	case age < renewed:
		return ctx.Err()
	case age > heldAtMost:
		return rebased.E(rebased.Unavailable, "the bucket was not heard of for %s: what is needed is found out anew", age.Round(time.Second))
	}
	return c.lease.write(ctx, c.Objects, c.Now)
}

// release takes the mark away, unless another has it.
func (c *Collector) release(ctx context.Context) error {
	if c.lease == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, renewed)
	defer cancel()
	_, etag, err := c.Objects.Get(ctx, rebased.CollectingKey)
	switch {
	case rebased.KindOf(err) == rebased.NotFound:
		return nil
	case err == nil && etag != c.lease.etag:
		return nil
	case err == nil:
		err = c.Objects.Delete(ctx, rebased.CollectingKey)
	}
	if err != nil {
		return fmt.Errorf("take the mark of this collection away, builds wait for it for up to %s: %w", Lapse, err)
	}
	return nil
}

// Waits says what a build whose frozen task was just written must wait for; "" = nothing. Ages are those that the bucket tells.
func Waits(ctx context.Context, objects rebased.Objects, frozen string) (string, error) {
	mark, found, err := find(ctx, objects, rebased.CollectingKey)
	if err != nil || !found {
		return "", err
	}
	own, found, err := find(ctx, objects, frozen)
	if err != nil {
		return "", err
	}
	if found && own.Modified.Sub(mark.Modified) > Lapse {
		return "", nil
	}
	return "versions or answers that are not needed are being removed (rebased gc): the build begins when that has ended", nil
}

func find(ctx context.Context, objects rebased.Objects, key string) (rebased.Object, bool, error) {
	for object, err := range objects.List(ctx, key) {
		if err != nil {
			return rebased.Object{}, false, fmt.Errorf("look for %s: %w", key, err)
		}
		if object.Key == key {
			return object, true, nil
		}
	}
	return rebased.Object{}, false, nil
}
