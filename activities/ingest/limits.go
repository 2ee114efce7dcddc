package ingest

import "github.com/rebased/rebased"

// Limits bound what one import may take, so that no file, however large or hostile, takes a worker down. Every field must be positive.
type Limits struct {
	SourceBytes int64 // of one file as it is stored; a large one is in the temporary folder while it is read
	Bytes       int64 // of one file after decompression
	Rows        int   // of one dataset split
	RowBytes    int   // of one record: of its line, and of its cells with their names
	Columns     int   // cells of one row
	Malformed   int   // entries kept for one dataset split; the rest is counted only
	PartRows    int   // rows of one part
	PartBytes   int   // cell bytes from which a part is closed
}

// DefaultLimits are far above what the hubs' datasets need.
func DefaultLimits() Limits {
	return Limits{
		SourceBytes: 64 << 30, // what the bucket takes as one object is 78 GiB
		Bytes:       256 << 30,
		Rows:        1 << 30,
		RowBytes:    32 << 20,
		Columns:     4096,
		Malformed:   1000,
		PartRows:    10_000,
		PartBytes:   32 << 20,
	}
}

// Validate names the first field that is out of bounds.
func (l Limits) Validate() error {
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"SourceBytes", l.SourceBytes},
		{"Bytes", l.Bytes},
		{"Rows", int64(l.Rows)},
		{"RowBytes", int64(l.RowBytes)},
		{"Columns", int64(l.Columns)},
		{"Malformed", int64(l.Malformed)},
		{"PartRows", int64(l.PartRows)},
		{"PartBytes", int64(l.PartBytes)},
	} {
		if f.value < 1 {
			return rebased.E(rebased.Invalid, "ingest limits: %s must be at least 1, is %d", f.name, f.value)
		}
	}
	return nil
}
