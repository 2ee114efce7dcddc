package qdrant

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"sync"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/local/qdrant/internal/shard"
	"google.golang.org/protobuf/encoding/protojson"

	pb "github.com/qdrant/go-client/qdrant"
)

const (
	catalogFile   = "catalog.json"
	catalogFormat = 1
	folderPattern = "collection-*"
)

// catalogState is the content of catalog.json, replaced as a whole: what it does not name does not exist.
type catalogState struct {
	Format      int                        `json:"format"`
	Next        int                        `json:"next"` // number of the next collection's folder
	Collections map[string]collectionState `json:"collections"`
	Aliases     map[string]string          `json:"aliases"` // to collections
}

type collectionState struct {
	Folder string                     `json:"folder"`
	Config json.RawMessage            `json:"config"` // the CreateCollection that made it
	Fields map[string]shard.FieldType `json:"fields"` // payload indexes
}

// clone copies the state for a change; collections are replaced whole, never changed in place.
func (s catalogState) clone() catalogState {
	s.Collections, s.Aliases = maps.Clone(s.Collections), maps.Clone(s.Aliases)
	return s
}

// catalog knows the collections and their aliases. Changes are on disk before they are seen.
type catalog struct {
	dir          string
	segmentBytes int64
	logger       *slog.Logger

	mu    sync.RWMutex
	state catalogState
	open  map[string]*collection
}

// openCatalog opens all collections and removes the folders of those that were deleted or never finished.
func openCatalog(dir string, segmentBytes int64, logger *slog.Logger) (*catalog, error) {
	c := &catalog{dir: dir, segmentBytes: segmentBytes, logger: logger, open: map[string]*collection{}}
	c.state = catalogState{Format: catalogFormat, Next: 1, Collections: map[string]collectionState{}, Aliases: map[string]string{}}
	b, err := os.ReadFile(filepath.Join(dir, catalogFile)) //nolint:gosec // our own folder
	if err == nil {
		err = json.Unmarshal(b, &c.state)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", catalogFile, err)
	}
	if c.state.Format != catalogFormat {
		return nil, fmt.Errorf("%s has format %d, this program reads %d; use the program that wrote it", catalogFile, c.state.Format, catalogFormat)
	}
	if err := c.removeStrays(); err != nil {
		return nil, err
	}
	for name, state := range c.state.Collections {
		if c.open[name], err = c.openCollection(name, state); err != nil {
			delete(c.open, name)
			return nil, errors.Join(fmt.Errorf("collection %s: %w", name, err), c.close())
		}
	}
	return c, nil
}

func (c *catalog) removeStrays() error {
	known := map[string]bool{}
	for _, state := range c.state.Collections {
		known[state.Folder] = true
	}
	folders, err := filepath.Glob(filepath.Join(c.dir, folderPattern))
	for _, folder := range folders {
		if !known[filepath.Base(folder)] {
			err = errors.Join(err, os.RemoveAll(folder))
		}
	}
	return err
}

func (c *catalog) openCollection(name string, state collectionState) (*collection, error) {
	var config pb.CreateCollection
	if err := protojson.Unmarshal(state.Config, &config); err != nil {
		return nil, err
	}
	col := newCollection(name, &config)
	var err error
	col.shard, err = shard.Open(shard.Config{
		Dir:          filepath.Join(c.dir, state.Folder),
		Vectors:      col.shardVectors(),
		Fields:       state.Fields,
		SegmentBytes: c.segmentBytes,
		Logger:       c.logger.With("collection", name),
	})
	return col, err
}

// resolve finds a collection by its name or an alias.
func (c *catalog) resolve(name string) (*collection, error) {
	if err := validName(name); err != nil {
		return nil, err
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	if target, ok := c.state.Aliases[name]; ok {
		name = target
	}
	if col, ok := c.open[name]; ok {
		return col, nil
	}
	return nil, missing(name)
}

func missing(collection string) error {
	return rebased.E(rebased.NotFound, "Collection `%s` doesn't exist!", collection)
}

// create makes a collection.
func (c *catalog) create(config *pb.CreateCollection) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := config.GetCollectionName()
	if c.taken(name) {
		return rebased.E(rebased.Conflict, "Collection `%s` already exists!", name)
	}
	raw, err := protojson.Marshal(config)
	if err != nil {
		return err
	}
	next := c.state.clone()
	state := collectionState{Folder: fmt.Sprintf("collection-%06d", next.Next), Config: raw}
	next.Next++
	next.Collections[name] = state
	col, err := c.openCollection(name, state)
	if err != nil {
		return err
	}
	if err := c.save(next); err != nil {
		return errors.Join(err, col.shard.Close())
	}
	c.open[name] = col
	return nil
}

func (c *catalog) taken(name string) bool {
	_, collection := c.state.Collections[name]
	_, alias := c.state.Aliases[name]
	return collection || alias
}

// drop removes a collection with its aliases; false when there was none. An alias does not name it here.
func (c *catalog) drop(name string) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	state, ok := c.state.Collections[name]
	if !ok {
		return false, nil
	}
	next := c.state.clone()
	delete(next.Collections, name)
	maps.DeleteFunc(next.Aliases, func(_, target string) bool { return target == name })
	if err := c.save(next); err != nil {
		return false, err
	}
	col := c.open[name]
	delete(c.open, name)
	return true, errors.Join(col.shard.Close(), os.RemoveAll(filepath.Join(c.dir, state.Folder)))
}

// addField makes a payload index, in place of one of another type.
func (c *catalog) addField(name, key string, kind shard.FieldType) error {
	col, err := c.resolve(name)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	state, ok := c.state.Collections[col.name]
	if !ok {
		return missing(name)
	}
	if err := col.shard.AddField(key, kind); err != nil {
		return err
	}
	next := c.state.clone()
	state.Fields = maps.Clone(state.Fields)
	if state.Fields == nil {
		state.Fields = map[string]shard.FieldType{}
	}
	state.Fields[key] = kind
	next.Collections[col.name] = state
	return c.save(next)
}

// save replaces catalog.json durably and then the state.
func (c *catalog) save(next catalogState) error {
	b, err := json.MarshalIndent(next, "", "  ")
	if err != nil {
		return err
	}
	if err := replaceFile(filepath.Join(c.dir, catalogFile), append(b, '\n')); err != nil {
		return fmt.Errorf("save %s: %w", catalogFile, err)
	}
	c.state = next
	return nil
}

// replaceFile puts content in place of a file so that after a crash either the old or the new one is there.
func replaceFile(path string, content []byte) error {
	temporary := path + ".new"
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) //nolint:gosec // our own folder
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // our own folder
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// size counts collections and points.
func (c *catalog) size() (collections, points int) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, col := range c.open {
		points += col.shard.Len()
	}
	return len(c.open), points
}

func (c *catalog) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, col := range c.open {
		errs = append(errs, col.shard.Close())
	}
	clear(c.open)
	return errors.Join(errs...)
}
