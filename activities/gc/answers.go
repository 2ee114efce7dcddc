package gc

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/rebased/rebased/activities/llm"
)

// keySet is a set of keys of answers, of which there may be millions: half of a hash each, which no two share.
type keySet map[[16]byte]struct{}

func short(key string) [16]byte {
	sum := sha256.Sum256([]byte(key))
	return [16]byte(sum[:16])
}

func (s keySet) add(keys []string) {
	for _, key := range keys {
		s[short(key)] = struct{}{}
	}
}

// answers removes stored answers that are old and that no kept version or build has used. Where a build is under way that may still use one, all are left:
// which ones it needs is not known before it has asked for them. Builds that begin wait meanwhile.
func (c *Collector) answers(ctx context.Context) error {
	if c.Policy.Answers == 0 {
		return nil
	}
	open := map[string]bool{} // builds whose budget is still counted
	for _, b := range c.running.Builds {
		open[b.Task+"/"+b.Build] = true
	}
	for f, err := range c.folders(ctx) {
		if err != nil {
			return err
		}
		if b, is := c.open(f); c.underWay(f) && (!is || !b.Approval) {
			c.left(KindAnswers, "a build is under way, which may use any: run again when it has ended", f.path(), 0, 0)
			return nil
		}
	}
	needed, err := c.usedAnswers(ctx)
	if err != nil {
		return err
	}
	why := "older than " + days(c.Policy.Answers) + " and used by no kept version or build"
	collection := llm.Collection{
		Needed: func(key llm.Key) bool { _, is := needed[short(string(key))]; return is },
		Open: func(account string) bool {
			parts := strings.SplitN(account, "/", 3)
			return len(parts) == 3 && open[parts[0]+"/"+parts[1]]
		},
		Answered: c.before(c.Policy.Answers), Written: c.before(seconds(Grace)),
		Gone: func(answers int, bytes int64) {
			c.removed(KindAnswers, why, 1, bytes)
			c.row(KindAnswers, why, false).Things += answers
		},
	}
	if !c.DryRun {
		collection.Before = c.held
	}
	return c.Answers.Collect(ctx, collection)
}

// usedAnswers gives the keys that kept versions and builds name, in the rows and in the rejects.
func (c *Collector) usedAnswers(ctx context.Context) (keySet, error) {
	used := keySet{}
	versions, err := c.keptVersions(ctx)
	if err != nil {
		return nil, err
	}
	for _, v := range versions {
		for rows, err := range c.store().Rows(ctx, v.task, v.Name) {
			if err != nil {
				return nil, fmt.Errorf("read the answers of %s: %w", v.ref(), err) // what it needs is not known: nothing is removed
			}
			for _, row := range rows {
				used.add(row.Responses)
			}
			if err := c.held(ctx); err != nil {
				return nil, err
			}
		}
	}
	folders, err := c.after(ctx)
	if err != nil {
		return nil, err
	}
	for _, f := range folders {
		if err := c.usedBy(ctx, f, used); err != nil {
			return nil, err
		}
	}
	return used, nil
}

// usedBy adds the keys of a build: of the rows that each step has made, and of the rejects.
func (c *Collector) usedBy(ctx context.Context, f folder, used keySet) error {
	for object, err := range c.Objects.List(ctx, f.prefix()) {
		if err != nil {
			return fmt.Errorf("list %s: %w", f.prefix(), err)
		}
		step, _, _ := strings.Cut(strings.TrimPrefix(object.Key, f.prefix()), "/")
		if !strings.HasSuffix(object.Key, ".parquet") {
			continue
		}
		switch step {
		case "transformed", "reasoned", "judged", "kept", "deduped":
			rows, err := c.Examples.Read(ctx, object.Key)
			if err != nil {
				return fmt.Errorf("read the answers of %s: %w", object.Key, err)
			}
			for _, row := range rows {
				used.add(row.Responses)
			}
		case "rejects":
			rows, err := c.Rejects.Read(ctx, object.Key)
			if err != nil {
				return fmt.Errorf("read the answers of %s: %w", object.Key, err)
			}
			for _, row := range rows {
				used.add(row.Responses)
			}
		}
		if err := c.held(ctx); err != nil {
			return err
		}
	}
	return nil
}
