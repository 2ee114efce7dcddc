package gc

import (
	"context"
	"fmt"
	"regexp"

	"github.com/rebased/rebased"
)

// mentions are what a text names. Task files and inputs of workflows are read as text: whatever stands in them, under any key, stays.
type mentions struct {
	uploads, tasks []string // keys
	versions       []string // task@version
}

var (
	uploadMention  = regexp.MustCompile(`uploads/[0-9a-f]{64}`)
	taskMention    = regexp.MustCompile(`tasks/[a-z0-9-]{1,63}/[0-9a-f]{64}\.yaml`)
	versionMention = regexp.MustCompile(`[a-z0-9-]{1,63}@[0-9a-f]{12}\b`)
)

func mentionsIn(text []byte) (m mentions) {
	for into, pattern := range map[*[]string]*regexp.Regexp{&m.uploads: uploadMention, &m.tasks: taskMention, &m.versions: versionMention} {
		for _, found := range pattern.FindAll(text, -1) {
			*into = append(*into, string(found))
		}
	}
	return m
}

// read gives the mentions of a small file; none when it is not there.
func (c *Collector) read(ctx context.Context, key string) (mentions, error) {
	if m, known := c.texts[key]; known {
		return m, nil
	}
	if err := c.held(ctx); err != nil {
		return mentions{}, err
	}
	body, _, err := c.Objects.Get(ctx, key)
	if err != nil && rebased.KindOf(err) != rebased.NotFound {
		return mentions{}, fmt.Errorf("read %s: %w", key, err) // what it names is not known: nothing is removed
	}
	m := mentionsIn(body)
	c.texts[key] = m
	return m, nil
}

// set makes a set of lists.
func set(lists ...[]string) map[string]bool {
	all := map[string]bool{}
	for _, list := range lists {
		for _, s := range list {
			all[s] = true
		}
	}
	return all
}
