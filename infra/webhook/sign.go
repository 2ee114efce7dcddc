package webhook

import (
	"encoding/base64"
	"net/url"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/rebased/rebased"
)

// Headers of Standard Webhooks.
const (
	headerID        = standardwebhooks.HeaderWebhookID
	headerTimestamp = standardwebhooks.HeaderWebhookTimestamp
	headerSignature = standardwebhooks.HeaderWebhookSignature
)

// signers are the secrets by the origin that they are for; "" = any other.
type signers map[string][]*standardwebhooks.Webhook

// parseSecrets reads secrets as the specification writes them, whsec_ and base64 of 24 to 64 bytes.
func parseSecrets(list string) (signers, error) {
	all := signers{}
	for i, entry := range strings.Fields(list) {
		where, secret, own := strings.Cut(entry, "=whsec_")
		if !own {
			where, secret = "", strings.TrimPrefix(entry, "whsec_")
		}
		bad := func(want string) error {
			return rebased.E(rebased.Invalid, "number %d %s: make a secret with: echo whsec_$(openssl rand -base64 32)", i+1, want)
		}
		if !own && !strings.HasPrefix(entry, "whsec_") {
			return nil, bad("must be whsec_…, or https://host[:port]=whsec_…")
		}
		key, err := base64.StdEncoding.DecodeString(secret)
		if err != nil || len(key) < 24 || len(key) > 64 {
			return nil, bad("must have base64 of 24 to 64 bytes behind whsec_")
		}
		if own {
			address, err := url.Parse(where)
			if err != nil || address.Host == "" || !strings.EqualFold(where, address.Scheme+"://"+address.Host) {
				return nil, bad("must have https://host[:port] and no more before =whsec_")
			}
			where = origin(address)
		}
		signer, err := standardwebhooks.NewWebhookRaw(key)
		if err != nil {
			return nil, bad("cannot be used")
		}
		all[where] = append(all[where], signer)
	}
	return all, nil
}

// of gives the secrets for an address: those of its origin alone, where it has some.
func (s signers) of(address *url.URL) []*standardwebhooks.Webhook {
	if own := s[origin(address)]; len(own) > 0 {
		return own
	}
	return s[""]
}

// sign gives a signature by each secret, so that a receiver may know the old one or the new one.
func (s signers) sign(address *url.URL, id string, at time.Time, body []byte) (string, error) {
	var all []string
	for _, signer := range s.of(address) {
		signature, err := signer.Sign(id, at, body)
		if err != nil {
			return "", rebased.E(rebased.Invalid, "a message to %s cannot be signed", origin(address))
		}
		all = append(all, signature)
	}
	return strings.Join(all, " "), nil
}

// origin is scheme, host and port of an address, the port written out. Errors name no more of an address: its path and query may hold what nobody is to see.
func origin(address *url.URL) string {
	return strings.ToLower(address.Scheme) + "://" + hostPort(address)
}
