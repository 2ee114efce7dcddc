package handoff

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/infra/mem"
)

// small is a version of several Parquet files, for its 9 and 3 rows.
func small(t *testing.T, limits limits) (v Versions, version string, m Manifest) {
	t.Helper()
	v = versionsOn(mem.NewObjects())
	v.limits = limits
	staged := stage(t, v, input())
	return v, staged.Version, staged.Manifest
}

// names gives the names and rows of the Parquet files of a split.
func names(m Manifest, split string) string {
	var out []string
	for _, f := range m.tables(split) {
		out = append(out, fmt.Sprint(f.Name, ":", f.Rows))
	}
	return strings.Join(out, " ")
}

func TestALargeSplitHasSeveralParquetFiles(t *testing.T) {
	for _, c := range []struct {
		limits            limits
		train, validation string
	}{
		{limits{rows: 4, text: 1 << 20}, "train-00000.parquet:4 train-00001.parquet:4 train-00002.parquet:1", "validation-00000.parquet:3"},
		{limits{rows: 3, text: 1 << 20}, "train-00000.parquet:3 train-00001.parquet:3 train-00002.parquet:3", "validation-00000.parquet:3"},
		{limits{rows: 9, text: 1 << 20}, "train-00000.parquet:9", "validation-00000.parquet:3"},
		{limits{rows: 99, text: 1}, "", "validation-00000.parquet:1 validation-00001.parquet:1 validation-00002.parquet:1"},
	} {
		_, _, m := small(t, c.limits)
		if got := names(m, SplitTrain); c.train != "" && got != c.train {
			t.Errorf("%+v: %s", c.limits, got)
		}
		if got := names(m, SplitValidation); got != c.validation {
			t.Errorf("%+v: %s", c.limits, got)
		}
	}
}

func TestTwentyThousandRowsAreOneFile(t *testing.T) {
	for rows, want := range map[int]string{
		20_000: "train-00000.parquet:20000",
		20_001: "train-00000.parquet:10000 train-00001.parquet:10000 train-00002.parquet:1",
	} {
		in := input()
		in.Task.Output = rebased.Output{}
		in.Retrieved, in.Steps = rows, nil
		in.Rows = parts(slices.Repeat(examples(), rows/12+1)[:rows], 7000)
		staged := stage(t, versionsOn(mem.NewObjects()), in)
		if got := names(staged.Manifest, SplitTrain); got != want {
			t.Errorf("%d rows: %s", rows, got)
		}
	}
}

func TestAnExportOfSeveralFilesIsThatOfOne(t *testing.T) {
	one, oneVersion, _ := small(t, limits{})
	several, severalVersion, _ := small(t, limits{rows: 2, text: 1 << 20})
	if oneVersion == severalVersion {
		t.Fatal("both versions have the same files")
	}
	for _, split := range []string{SplitTrain, SplitValidation} {
		for _, format := range []string{rebased.FormatMessages, rebased.FormatAlpaca, rebased.FormatShareGPT, FormatParquet} {
			var want, got bytes.Buffer
			if err := one.Export(t.Context(), ExportInput{Task: "capitals", Version: oneVersion, Split: split, Format: format}, &want); err != nil {
				t.Fatal(err)
			}
			if err := several.Export(t.Context(), ExportInput{Task: "capitals", Version: severalVersion, Split: split, Format: format}, &got); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want.Bytes()) { // Parquet too: the table of these tests has no row groups
				t.Errorf("%s of %s:\n%s\nwant\n%s", format, split, &got, &want)
			}
		}
	}
}

func TestAnExportEndsAtAFileThatWasChanged(t *testing.T) {
	v, version, m := small(t, limits{rows: 4, text: 1 << 20})
	key := rebased.VersionKey("capitals", version, parquetName(SplitTrain, 1))
	if _, err := v.Objects.Put(t.Context(), key, nil); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{FormatParquet, rebased.FormatMessages} {
		var out bytes.Buffer
		err := v.Export(t.Context(), ExportInput{Task: "capitals", Version: version, Format: format}, &out)
		if rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", format, err)
		}
		if lines := strings.Count(out.String(), "\n"); lines > m.tables(SplitTrain)[0].Rows {
			t.Errorf("%s: %d rows, among them some that cannot be vouched for", format, lines)
		}
	}
}

// bounded checks that a table never gets more rows than a file may have.
type bounded struct {
	rebased.Table[rebased.Example]
	t    *testing.T
	most int
}

func (b bounded) Write(ctx context.Context, key string, rows []rebased.Example) (rebased.File, error) {
	if len(rows) > b.most {
		b.t.Errorf("%s: %d rows at once, at most %d may be", key, len(rows), b.most)
	}
	return b.Table.Write(ctx, key, rows)
}

func TestNoMoreRowsAreHeldThanAPartAndAFileHave(t *testing.T) {
	v := versionsOn(mem.NewObjects())
	v.Examples, v.limits = bounded{v.Examples, t, 4}, limits{rows: 4, text: 1 << 20}
	in := input()
	all := parts(examples(), 5)
	var before []rebased.Example
	in.Rows.Read = func(ctx context.Context, part int) ([]rebased.Example, error) {
		clear(before) // whoever still used it would make another version
		got, err := all.Read(ctx, part)
		before = got
		return got, err
	}
	_, want, _ := small(t, v.limits)
	if got := stage(t, v, in).Version; got != want {
		t.Errorf("version %s, want %s", got, want)
	}
}

func TestRowsOfOnePartAreReadOnce(t *testing.T) {
	in, all, reads := input(), parts(examples(), 12), 0
	in.Rows = Parts{Count: 1, Read: func(ctx context.Context, part int) ([]rebased.Example, error) {
		reads++
		return all.Read(ctx, part)
	}}
	if stage(t, versionsOn(mem.NewObjects()), in); reads != 1 {
		t.Errorf("they are read %d times", reads)
	}
}

func TestRowsThatChangeMeanwhileMakeNoVersion(t *testing.T) {
	for changed := 2; changed <= 12; changed++ { // after that many reads; the first six are those of the survey and of the files' sums
		objects := mem.NewObjects()
		in, rows, reads := input(), parts(examples(), 6), 0
		in.Rows = Parts{Count: 2, Read: func(ctx context.Context, part int) ([]rebased.Example, error) {
			got, err := rows.Read(ctx, part)
			if reads++; reads > changed {
				got[0].Output = "another"
			}
			return got, err
		}}
		if _, err := versionsOn(objects).Stage(context.Background(), in); err == nil && changed > 6 {
			t.Errorf("rows changed at read %d: a version was made", changed)
		}
		checkFiles(t, objects)
	}
}
