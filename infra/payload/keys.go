package payload

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/rebased/rebased"
)

// Variables that keys come from.
const (
	keysName = "REBASED_PAYLOAD_KEYS"
	fileName = "REBASED_PAYLOAD_KEYS_FILE"
)

// Bounds of what is read.
const (
	fileLimit = 64 << 10
	keyBytes  = 32
	maxKeys   = 64
)

// plain, in the place of the first key, says that nothing is sealed.
const plain = "plain"

// wrapped begins a key that AWS KMS unwraps.
const wrapped = "kms:"

var keyID = regexp.MustCompile(`^[A-Za-z0-9._/-]{1,80}$`)

// Environment gives variables by name.
type Environment interface {
	LookupEnv(name string) (string, bool)
}

// Load reads the keys from REBASED_PAYLOAD_KEYS, or from the file that REBASED_PAYLOAD_KEYS_FILE names: entries NAME=KEY, separated by commas or line
// ends, of which the first seals; with "plain" in its place nothing is sealed, and they are there to read with. KEY is 32 bytes in base64, or "kms:" and a data key that AWS KMS has wrapped, which is unwrapped now.
//
// Errors: Invalid for what cannot be used, with its place and never its value; those of KMS.
func Load(ctx context.Context, env Environment) (*Codec, error) {
	text, name := lookup(env, keysName), keysName
	if path := lookup(env, fileName); path != "" {
		if text != "" {
			return nil, rebased.E(rebased.Invalid, "%s and %s are both set: set one of them", keysName, fileName)
		}
		var err error
		if text, err = readFile(path); err != nil {
			return nil, rebased.E(rebased.Invalid, "%s: %w", fileName, err)
		}
		name = fileName
	}
	entries := split(text)
	reads := len(entries) > 0 && entries[0] == plain
	if reads {
		entries = entries[1:]
	}
	if len(entries) == 0 {
		if name == fileName {
			return nil, rebased.E(rebased.Invalid, "%s: the file has no key: write NAME=KEY, one a line", fileName)
		}
		return &Codec{}, nil
	}
	if len(entries) > maxKeys {
		return nil, rebased.E(rebased.Invalid, "%s: %d keys, at most %d", name, len(entries), maxKeys)
	}
	keys := make([]key, len(entries))
	seen := map[string]bool{}
	var unwrap kms
	for i, entry := range entries {
		id, value, ok := strings.Cut(entry, "=")
		if id = strings.TrimSpace(id); !ok || !keyID.MatchString(id) {
			return nil, rebased.E(rebased.Invalid, "%s: entry %d must be NAME=KEY, with a name of letters, digits, '.', '_', '/' and '-'", name, i+1)
		}
		if seen[id] {
			return nil, rebased.E(rebased.Invalid, "%s: key %q is there twice", name, id)
		}
		seen[id] = true
		secret, err := unwrap.secret(ctx, env, id, strings.TrimSpace(value))
		if err != nil {
			return nil, fmt.Errorf("%s: key %q: %w", name, id, err)
		}
		keys[i] = key{id, secret}
	}
	return newCodec(keys, reads)
}

func lookup(env Environment, name string) string {
	value, _ := env.LookupEnv(name)
	return strings.TrimSpace(value)
}

// split gives the entries, without empty ones and comments.
func split(text string) (entries []string) {
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#") // in no base64
		for entry := range strings.SplitSeq(line, ",") {
			if entry = strings.TrimSpace(entry); entry != "" {
				entries = append(entries, entry)
			}
		}
	}
	return entries
}

func readFile(path string) (string, error) {
	f, err := os.Open(path) //nolint:gosec // named by who runs the program
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, fileLimit+1))
	if err == nil && len(text) > fileLimit {
		err = fmt.Errorf("%s is over %d KiB", path, fileLimit>>10)
	}
	return string(text), err
}

// decode reads a key, or what KMS made of one, and says nothing of its value.
func decode(text string) ([]byte, error) {
	out, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, rebased.E(rebased.Invalid, "is not in base64: make one with openssl rand -base64 %d", keyBytes)
	}
	return out, nil
}

func checked(secret []byte) ([]byte, error) {
	if len(secret) != keyBytes {
		return nil, rebased.E(rebased.Invalid, "has %d bytes, must have %d: make one with openssl rand -base64 %d", len(secret), keyBytes, keyBytes)
	}
	return secret, nil
}
