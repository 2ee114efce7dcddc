package payload

import (
	"context"
	"encoding/json"
	"errors"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
)

// Configure puts the codec into the options of a client: for values, and for the messages and stack traces of failures.
func (c *Codec) Configure(o *client.Options) {
	o.DataConverter = c.Values()
	o.FailureConverter = temporal.NewDefaultFailureConverter(temporal.DefaultFailureConverterOptions{
		DataConverter: messages{c.Values()}, EncodeCommonAttributes: c.Seals(),
	})
}

// Values reads and writes values with the codec.
func (c *Codec) Values() converter.DataConverter {
	return dataConverter{DataConverter: converter.NewCodecDataConverter(converter.GetDefaultDataConverter(), c)}
}

// dataConverter is the SDK's with a codec. In workflow code a payload that cannot be opened is a panic: by the SDK's default that fails the task and
// not the workflow, so that a build waits for a worker that has the key, where an error would end it for good.
type dataConverter struct {
	converter.DataConverter

	inWorkflow bool
}

var _ converter.ContextAware = dataConverter{}

// WithWorkflowContext implements converter.ContextAware.
func (d dataConverter) WithWorkflowContext(converter.WorkflowContext) converter.DataConverter {
	d.inWorkflow = true
	return d
}

// WithContext implements converter.ContextAware.
func (d dataConverter) WithContext(context.Context) converter.DataConverter {
	d.inWorkflow = false
	return d
}

// FromPayload implements converter.DataConverter.
func (d dataConverter) FromPayload(p *commonpb.Payload, into any) error {
	return d.check(d.DataConverter.FromPayload(p, into))
}

// FromPayloads implements converter.DataConverter.
func (d dataConverter) FromPayloads(p *commonpb.Payloads, into ...any) error {
	return d.check(d.DataConverter.FromPayloads(p, into...))
}

func (d dataConverter) check(err error) error {
	if cause, ok := errors.AsType[*Unopened](err); ok && d.inWorkflow {
		panic(cause)
	}
	return err
}

// messages reads the messages of failures. The SDK passes over one that it cannot read, and says "Encoded failure" in its place; here it says why.
type messages struct{ converter.DataConverter }

// FromPayload implements converter.DataConverter.
func (m messages) FromPayload(p *commonpb.Payload, into any) error {
	err := m.DataConverter.FromPayload(p, into)
	if cause, ok := errors.AsType[*Unopened](err); ok {
		said, _ := json.Marshal(map[string]string{"message": "the message cannot be read: " + cause.Error()}) // a text
		return json.Unmarshal(said, into)
	}
	return err
}
