package app

import (
	"strings"
	"testing"

	"github.com/rebased/rebased"
)

func TestTargetsOfHandoffsAreOffUntilAnOperatorAllowsThem(t *testing.T) {
	to := rebased.Handoff{
		Webhook: &rebased.WebhookSpec{URL: "http://127.0.0.1:9/"}, SQS: &rebased.SQSSpec{QueueURL: "http://127.0.0.1:9/1/q"}, Command: &rebased.CommandSpec{Name: "true"},
	}
	allowed := []string{
		"REBASED_WEBHOOK_SECRET=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "REBASED_WEBHOOK_ALLOW=127.0.0.1:9", "AWS_ENDPOINT_URL_SQS=http://127.0.0.1:9", "REBASED_HANDOFF_COMMANDS=true=/bin/true",
	}
	for _, c := range []struct {
		environ []string
		open    bool
	}{{nil, false}, {allowed, true}} {
		all, err := newPublishers(settingsOf(t, c.environ...), signing("eu-west-1"))
		if err != nil {
			t.Fatal(err)
		}
		for target, publisher := range all {
			if err := publisher.Check(t.Context(), to); (err == nil) != c.open || err != nil && !strings.Contains(err.Error(), "operator") {
				t.Errorf("%s with %q: %v", target, c.environ, err)
			}
		}
	}
	for name, environ := range map[string]string{
		"REBASED_WEBHOOK_SECRET": "REBASED_WEBHOOK_SECRET=" + secret, "REBASED_WEBHOOK_ALLOW": "REBASED_WEBHOOK_ALLOW=everywhere",
		"AWS_ENDPOINT_URL_SQS": "AWS_ENDPOINT_URL_SQS=sqs", "REBASED_HANDOFF_COMMANDS": "REBASED_HANDOFF_COMMANDS=/bin/sh",
	} {
		_, err := newPublishers(settingsOf(t, environ), signing(""))
		if rebased.KindOf(err) != rebased.Invalid || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
