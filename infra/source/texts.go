package source

import (
	"bytes"
	"encoding/hex"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
	"unsafe"

	"github.com/apache/arrow/go/v17/arrow/float16"
	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/schema"
)

const (
	timestampLayout = "2006-01-02T15:04:05.999999999Z07:00"
	localLayout     = "2006-01-02T15:04:05.999999999"
	dateLayout      = "2006-01-02"
	timeLayout      = "15:04:05.999999999"
)

// kind is what the bytes or whole numbers of a column stand for.
type kind int

const (
	kindNumber kind = iota
	kindUnsigned
	kindDecimal
	kindDate
	kindTime
	kindTimestamp
	kindLocal // a timestamp of no time zone
	kindText
	kindBytes // text where it happens to be UTF-8: older writers do not mark their texts
	kindUUID
	kindFloat16
)

// texts writes the values of one column as text.
type texts struct {
	kind   kind
	scale  int           // of kindDecimal
	unit   time.Duration // of times
	width  int           // bits of kindUnsigned
	labels []string      // names of whole numbers from 0
}

func textsOf(leaf *schema.Column, labels []string) texts {
	switch logical := leaf.LogicalType().(type) {
	case *schema.IntLogicalType:
		if !logical.IsSigned() {
			return texts{kind: kindUnsigned, width: int(logical.BitWidth()), labels: labels}
		}
	case *schema.DecimalLogicalType:
		return texts{kind: kindDecimal, scale: int(logical.Scale())}
	case schema.DateLogicalType:
		return texts{kind: kindDate}
	case *schema.TimeLogicalType:
		return texts{kind: kindTime, unit: durationOf(logical.TimeUnit())}
	case *schema.TimestampLogicalType:
		if logical.IsAdjustedToUTC() {
			return texts{kind: kindTimestamp, unit: durationOf(logical.TimeUnit())}
		}
		return texts{kind: kindLocal, unit: durationOf(logical.TimeUnit())}
	case schema.StringLogicalType, schema.EnumLogicalType, schema.JSONLogicalType:
		return texts{kind: kindText}
	case schema.UUIDLogicalType:
		return texts{kind: kindUUID}
	case schema.Float16LogicalType:
		return texts{kind: kindFloat16}
	}
	if typ := leaf.PhysicalType(); typ == parquet.Types.ByteArray || typ == parquet.Types.FixedLenByteArray {
		return texts{kind: kindBytes}
	}
	return texts{kind: kindNumber, labels: labels}
}

func durationOf(unit schema.TimeUnitType) time.Duration {
	switch unit {
	case schema.TimeUnitMillis:
		return time.Millisecond
	case schema.TimeUnitMicros:
		return time.Microsecond
	}
	return time.Nanosecond
}

// integer writes a whole number as what it stands for.
func (t texts) integer(v int64) string {
	if v >= 0 && v < int64(len(t.labels)) {
		return t.labels[v]
	}
	switch t.kind {
	case kindUnsigned:
		if t.width < 64 {
			v &= 1<<t.width - 1
		}
		return strconv.FormatUint(uint64(v), 10) //nolint:gosec // the same bits, read as the column means them
	case kindDecimal:
		return decimalText(big.NewInt(v), t.scale)
	case kindDate:
		return time.Unix(0, 0).UTC().AddDate(0, 0, int(v)).Format(dateLayout)
	case kindTime:
		return t.instant(v).Format(timeLayout)
	case kindTimestamp:
		return t.instant(v).Format(timestampLayout)
	case kindLocal:
		return t.instant(v).Format(localLayout)
	}
	return strconv.FormatInt(v, 10)
}

// instant counts units from the epoch; seconds and rest apart, since nanoseconds alone reach 1678 to 2262 only.
func (t texts) instant(v int64) time.Time {
	perSecond := int64(time.Second / t.unit)
	return time.Unix(v/perSecond, v%perSecond*int64(t.unit)).UTC()
}

// bytes writes a byte string as what it stands for; ok is false where it is no text. The text may be the bytes themselves.
func (t texts) bytes(v []byte) (text string, ok bool) {
	switch {
	case t.kind == kindDecimal:
		return decimalText(bigEndian(v), t.scale), true
	case t.kind == kindUUID && len(v) == 16:
		s := hex.EncodeToString(v)
		return strings.Join([]string{s[:8], s[8:12], s[12:16], s[16:20], s[20:]}, "-"), true
	case t.kind == kindFloat16 && len(v) == 2:
		return floatText(float64(float16.FromLEBytes(v).Float32()), 32)
	case t.kind == kindText:
		return view(v), true
	}
	return view(v), isText(v)
}

// view gives bytes as a string without a copy.
func view(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // a record's texts are good until the next, and a batch lasts as long
}

// isText tells text from other bytes: small numbers are UTF-8 as well, but control characters.
func isText(v []byte) bool {
	isControl := func(r rune) bool { return unicode.IsControl(r) && r != '\t' && r != '\n' && r != '\r' }
	return utf8.Valid(v) && !bytes.ContainsFunc(v, isControl)
}

// bigEndian reads a number in two's complement.
func bigEndian(v []byte) *big.Int {
	n := new(big.Int).SetBytes(v)
	if len(v) > 0 && v[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(v))))
	}
	return n
}

// decimalText writes unscaled · 10^-scale with all its digits.
func decimalText(unscaled *big.Int, scale int) string {
	if scale <= 0 {
		return unscaled.String() + strings.Repeat("0", -scale)
	}
	digits := new(big.Int).Abs(unscaled).String()
	if missing := scale + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	sign := ""
	if unscaled.Sign() < 0 {
		sign = "-"
	}
	return sign + digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
}

// floatText writes the shortest text that reads back as v, in the manner of JSON; NaN stands for a missing value in data frames and is no text.
func floatText(v float64, bits int) (text string, ok bool) {
	if math.IsNaN(v) {
		return "", false
	}
	format := byte('f')
	if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e21) && !math.IsInf(v, 0) {
		format = 'e'
	}
	return strconv.FormatFloat(v, format, -1, bits), true
}

func boolText(v bool) string { return strconv.FormatBool(v) }
