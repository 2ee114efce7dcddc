package temporal

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	schema "go.temporal.io/server/schema/sqlite"
	"google.golang.org/protobuf/types/known/durationpb"
)

// retention is how long a closed workflow can still be looked at.
const retention = 30 * 24 * time.Hour

// openDatabase gives the store of a server, made on first use. The database is set up under another name and renamed when it is complete, so that
// a process killed meanwhile leaves no half of a schema behind.
func openDatabase(dir, namespace string) (*config.SQL, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("temporal database: %w", err)
	}
	path := filepath.Join(dir, "temporal.db")
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = makeDatabase(path, namespace)
	}
	if err != nil {
		return nil, fmt.Errorf("temporal database: %w", err)
	}
	// A write-ahead log keeps every acknowledged transaction through a kill of the process; "normal" leaves out only the flush that protects the
	// newest of them from a loss of power.
	return store(path, map[string]string{"mode": "rwc", "journal_mode": "wal", "synchronous": "normal", "busy_timeout": "10000"}), nil
}

func makeDatabase(path, namespace string) error {
	unfinished := path + ".new"
	if err := os.Remove(unfinished); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	db := store(unfinished, map[string]string{"mode": "rwc", "journal_mode": "memory", "synchronous": "off"})
	if err := schema.SetupSchema(db); err != nil {
		return err
	}
	made, err := schema.NewNamespaceConfig(clusterName, namespace, false, map[string]enums.IndexedValueType{
		"RebasedTask":  enums.INDEXED_VALUE_TYPE_KEYWORD,
		"RebasedState": enums.INDEXED_VALUE_TYPE_KEYWORD,
	})
	if err != nil {
		return err
	}
	made.Detail.Config.Retention = durationpb.New(retention)
	if err := schema.CreateNamespaces(db, made); err != nil {
		return err
	}
	return os.Rename(unfinished, path)
}

// store names a database file the way SQLite reads file names: as a URI, in which ? and # have a meaning.
func store(path string, attributes map[string]string) *config.SQL {
	return &config.SQL{
		PluginName:        sqlite.PluginName,
		DatabaseName:      (&url.URL{Path: path}).EscapedPath(),
		ConnectAttributes: attributes,
	}
}
