package qdrant

import (
	"testing"

	"google.golang.org/protobuf/reflect/protoregistry"
)

func TestTheServedFieldsAreFieldsOfTheProtocol(t *testing.T) {
	for name := range servedFields() {
		if _, err := protoregistry.GlobalFiles.FindDescriptorByName(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
