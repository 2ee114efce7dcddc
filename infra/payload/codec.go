// Package payload encrypts what the two programs hand to Temporal: arguments, results, failures, memos, heartbeats, answers of queries and updates.
//
// It stands between the SDK's client and the rest: Load reads the keys, Configure puts the codec into the options that a client is made of. Without
// keys nothing is encrypted; what was encrypted before is then refused by the name of its key. What was written in plain stays readable with keys.
//
// A payload is sealed in the form of the encryption samples of Temporal's SDKs, which programs in other languages can read with them: AES-256-GCM over
// the serialized payload, 12 random bytes of nonce before it and the tag of 16 behind, no additional data, in a payload with encoding
// "binary/encrypted" and the name of its key under "encryption-key-id".
package payload

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"

	"github.com/rebased/rebased"
)

// Metadata of a sealed payload.
const (
	encoding   = "binary/encrypted"
	metadataID = "encryption-key-id"
)

// Codec seals payloads with one key and opens those of all its keys. Its zero value seals nothing.
type Codec struct {
	sealsWith string // "" = nothing is sealed
	keys      map[string]cipher.AEAD
}

var _ converter.PayloadCodec = (*Codec)(nil)

// key is a named key of 32 bytes.
type key struct {
	id     string
	secret []byte
}

// newCodec makes a codec that opens with all keys and, unless it only reads, seals with the first.
func newCodec(keys []key, reads bool) (*Codec, error) {
	c := &Codec{keys: make(map[string]cipher.AEAD, len(keys))}
	for i, k := range keys {
		block, err := aes.NewCipher(k.secret)
		if err != nil {
			return nil, rebased.E(rebased.Invalid, "key %q: %w", k.id, err)
		}
		if c.keys[k.id], err = cipher.NewGCMWithRandomNonce(block); err != nil {
			return nil, rebased.E(rebased.Invalid, "key %q: %w", k.id, err)
		}
		if i == 0 && !reads {
			c.sealsWith = k.id
		}
	}
	return c, nil
}

// Seals tells whether there is a key to seal with.
func (c *Codec) Seals() bool { return c.sealsWith != "" }

// Opens tells whether there is a key to open with.
func (c *Codec) Opens() bool { return len(c.keys) > 0 }

// String says with what payloads are sealed.
func (c *Codec) String() string {
	switch {
	case !c.Opens():
		return "not encrypted, " + keysName + " is not set"
	case !c.Seals():
		return fmt.Sprintf("not encrypted, read with %d keys", len(c.keys))
	}
	return fmt.Sprintf("encrypted with key %s, read with %d", c.sealsWith, len(c.keys))
}

// Encode implements converter.PayloadCodec.
func (c *Codec) Encode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	if !c.Seals() {
		return payloads, nil
	}
	sealed := make([]*commonpb.Payload, len(payloads))
	for i, p := range payloads {
		plain, err := proto.Marshal(p)
		if err != nil {
			return nil, rebased.E(rebased.Invalid, "serialize a payload for Temporal: %w", err)
		}
		sealed[i] = &commonpb.Payload{
			Metadata: map[string][]byte{converter.MetadataEncoding: []byte(encoding), metadataID: []byte(c.sealsWith)},
			Data:     c.keys[c.sealsWith].Seal(nil, nil, plain, nil), //nolint:gosec // makes its nonce itself
		}
	}
	return sealed, nil
}

// Decode implements converter.PayloadCodec. A payload that is not sealed stays as it is; one that cannot be opened is an *Unopened.
func (c *Codec) Decode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	opened := make([]*commonpb.Payload, len(payloads))
	for i, p := range payloads {
		if string(p.GetMetadata()[converter.MetadataEncoding]) != encoding {
			opened[i] = p
			continue
		}
		var err error
		if opened[i], err = c.open(p); err != nil {
			return nil, err
		}
	}
	return opened, nil
}

func (c *Codec) open(p *commonpb.Payload) (*commonpb.Payload, error) {
	id := string(p.GetMetadata()[metadataID])
	aead, ok := c.keys[id]
	if !ok {
		return nil, unopened(rebased.Unauthorized, "a payload in Temporal is encrypted with key %.80q, which is not set here: add it to %s, behind the first", id, keysName)
	}
	plain, err := aead.Open(nil, nil, p.GetData(), nil)
	if err != nil {
		return nil, unopened(rebased.Invalid, "a payload in Temporal that names key %.80q does not open with it: it was changed, or %s has another key under this name", id, keysName)
	}
	opened := &commonpb.Payload{}
	if err := proto.Unmarshal(plain, opened); err != nil {
		return nil, unopened(rebased.Invalid, "a payload in Temporal that key %.80q opens is none: another program has sealed it", id)
	}
	return opened, nil
}

// Unopened is the error of a sealed payload that cannot be opened.
type Unopened struct{ error } //nolint:errname // what is wrong is said by the kind

func unopened(kind rebased.Kind, format string, args ...any) *Unopened {
	return &Unopened{rebased.E(kind, format, args...)}
}

// Unwrap gives the error with its kind.
func (u *Unopened) Unwrap() error { return u.error }
