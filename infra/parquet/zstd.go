package parquet

import (
	"github.com/apache/arrow/go/v17/parquet/compress"
	"github.com/klauspost/compress/zstd"
)

// maxPage is the size of the largest page that is decompressed, in bytes.
const maxPage = 1 << 30

// codec takes the place of the vendor's Zstandard codec, which makes a new encoder with megabytes of tables for each page and decompresses a page
// to whatever size it claims. Each frame carries a checksum.
type codec struct {
	compress.Codec
	encoder *zstd.Encoder
	decoder *zstd.Decoder
}

// A codec can only be given to the vendor for the whole process, and its map of codecs has no lock: init is the one safe place.
func init() { //nolint:gochecknoinits // see above
	vendor, err := compress.GetCodec(compress.Codecs.Zstd)
	if err != nil {
		panic(err)
	}
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithZeroFrames(true))
	if err != nil {
		panic(err)
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxPage))
	if err != nil {
		panic(err)
	}
	compress.RegisterCodec(compress.Codecs.Zstd, codec{vendor, encoder, decoder})
}

// Encode implements compress.Codec.
func (c codec) Encode(dst, src []byte) []byte { return c.encoder.EncodeAll(src, dst[:0]) }

// EncodeLevel implements compress.Codec. There is one level, so that the same rows give the same bytes.
func (c codec) EncodeLevel(dst, src []byte, _ int) []byte { return c.Encode(dst, src) }

// Decode implements compress.Codec; the interface has no error, and the vendor's reader expects a panic.
func (c codec) Decode(dst, src []byte) []byte {
	out, err := c.decoder.DecodeAll(src, dst[:0])
	if err != nil {
		panic(err)
	}
	return out
}
