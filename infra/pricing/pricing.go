// Package pricing knows what models cost: a built-in table, and a file of the operator's before it. Money caps of budgets and the cost of a build
// stand on it.
package pricing

import (
	"cmp"
	_ "embed"
	"fmt"
	"math/big"
	"os"
	"path"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/activities"
)

var _ activities.Prices = (*Table)(nil)

//go:embed prices.yaml
var builtIn []byte

// Table is a price table, ready to use from several goroutines.
type Table struct{ lists []list }

// list is what the models of some endpoints cost.
type list struct {
	Endpoint string           `yaml:"endpoint"` // glob over base URLs; * matches everything, / included
	Batch    *factor          `yaml:"batch"`    // of what answers cost in batches
	Models   map[string]entry `yaml:"models"`
}

// entry is a price as it is written, in USD per million tokens.
type entry struct {
	Input      usd  `yaml:"input"`
	Output     usd  `yaml:"output"`
	CacheRead  *usd `yaml:"cache_read"`
	CacheWrite *usd `yaml:"cache_write"`

	Batch *factor `yaml:"batch"` // before the list's own
}

// maxFile bounds a price file, in bytes.
const maxFile = 1 << 20

// Open reads the operator's file, "" = none, and puts it before the built-in table. What is wrong with it is one error that names it.
func Open(file string) (*Table, error) {
	t := &Table{}
	if file != "" {
		info, err := os.Stat(file)
		if err != nil {
			return nil, rebased.E(rebased.Invalid, "read the price table: %w", err)
		}
		if info.Size() > maxFile {
			return nil, rebased.E(rebased.Invalid, "read the price table: %s has %d bytes, at most %d are read", file, info.Size(), maxFile)
		}
		data, err := os.ReadFile(file) //nolint:gosec // the operator names it
		if err != nil {
			return nil, rebased.E(rebased.Invalid, "read the price table: %w", err)
		}
		if err := t.add(file, data); err != nil {
			return nil, err
		}
	}
	return t, t.add("built-in prices.yaml", builtIn)
}

// Models is how many entries the table has; one may stand for several models.
func (t *Table) Models() (n int) {
	for _, l := range t.lists {
		n += len(l.Models)
	}
	return n
}

func (t *Table) add(name string, data []byte) error {
	var lists []list
	if err := yaml.UnmarshalWithOptions(data, &lists, yaml.Strict()); err != nil {
		return rebased.E(rebased.Invalid, "price table %s: %s", name, strings.Join(strings.Fields(yaml.FormatError(err, false, false)), " "))
	}
	for i, l := range lists {
		if l.Endpoint == "" {
			return rebased.E(rebased.Invalid, "price table %s: entry %d has no endpoint: give a glob over base URLs, \"*\" for all", name, i+1)
		}
		for model, e := range l.Models {
			if !e.Input.given || !e.Output.given {
				return rebased.E(rebased.Invalid, "price table %s: %s needs input and output, in USD per million tokens", name, model)
			}
		}
	}
	t.lists = append(t.lists, lists...)
	return nil
}

// snapshot is the date at the end of a model's name.
var snapshot = regexp.MustCompile(`-\d{4}-?\d{2}-?\d{2}$`)

// Price implements activities.Prices: the first list whose endpoint matches and that has the model, or the model without its date.
func (t *Table) Price(endpoint, model string) (rebased.Price, bool) {
	for _, name := range []string{model, snapshot.ReplaceAllString(model, "")} {
		for _, l := range t.lists {
			if e, ok := l.Models[name]; ok && matches(l.Endpoint, endpoint) {
				return e.price(l.Batch), true
			}
		}
	}
	return rebased.Price{}, false
}

// matches is path.Match with a * that crosses slashes.
func matches(glob, endpoint string) bool {
	flat := strings.NewReplacer("/", "\x00").Replace
	ok, err := path.Match(flat(glob), flat(endpoint))
	return err == nil && ok
}

func (e entry) price(batch *factor) rebased.Price {
	p := rebased.Price{Input: e.Input.picos, Output: e.Output.picos, CacheRead: e.Input.picos, CacheWrite: e.Input.picos}
	if e.CacheRead != nil {
		p.CacheRead = e.CacheRead.picos
	}
	if e.CacheWrite != nil {
		p.CacheWrite = e.CacheWrite.picos
	}
	if batch = cmp.Or(e.Batch, batch); batch != nil {
		p.Batch = int64(*batch)
	}
	return p
}

// factor is a part of a price, held in thousandths.
type factor int64

// UnmarshalYAML reads a decimal number without rounding it.
func (f *factor) UnmarshalYAML(data []byte) error {
	text := strings.TrimSpace(string(data))
	value, ok := new(big.Rat).SetString(text)
	const whole = 1000
	if !ok || len(text) > 32 || value.Sign() <= 0 || value.Cmp(big.NewRat(1, 1)) > 0 {
		return fmt.Errorf("must be a part of the price, above 0 and at most 1, got %.40s", text)
	}
	if value.Mul(value, big.NewRat(whole, 1)); !value.IsInt() {
		return fmt.Errorf("has more than three decimals: %.40s", text)
	}
	*f = factor(value.Num().Int64())
	return nil
}

// usd is USD per million tokens, held as picodollars a token, exactly.
type usd struct {
	picos int64
	given bool
}

// UnmarshalYAML reads a decimal number without rounding it.
func (u *usd) UnmarshalYAML(data []byte) error {
	text := strings.TrimSpace(string(data))
	value, ok := new(big.Rat).SetString(text)
	const most, scale = 1_000_000, 1_000_000 // picodollars a token are USD a million tokens times a million
	if !ok || len(text) > 32 || value.Sign() < 0 || value.Cmp(big.NewRat(most, 1)) > 0 {
		return fmt.Errorf("must be a price between 0 and %d USD per million tokens, got %.40s", most, text)
	}
	value.Mul(value, big.NewRat(scale, 1))
	if !value.IsInt() {
		return fmt.Errorf("has more than six decimals: %.40s", text)
	}
	u.picos, u.given = value.Num().Int64(), true
	return nil
}
