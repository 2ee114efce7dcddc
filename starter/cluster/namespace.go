package cluster

import (
	"context"
	"fmt"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/rebased/rebased"
	"github.com/rebased/rebased/workflows"
)

// Retention is how long the namespace keeps what has ended; NotFound when there is no such namespace.
func (c *Cluster) Retention(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	namespace, err := c.temporal.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: c.namespace})
	if err != nil {
		return 0, c.translate("look at the namespace", err)
	}
	return namespace.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration(), nil
}

// CheckSearchAttributes reports, as Invalid and with the command that mends it, which search attributes the namespace lacks or has of another type.
// typed is false where the types are not ours to see: then each was used in a query.
func (c *Cluster) CheckSearchAttributes(ctx context.Context) (typed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	listed, err := c.temporal.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: c.namespace})
	if err != nil {
		return false, c.RequireSearchAttributes(ctx)
	}
	var missing, wrong []string
	for _, name := range []string{workflows.AttributeTask, workflows.AttributeState} {
		switch kind, ok := listed.GetCustomAttributes()[name]; {
		case !ok:
			missing = append(missing, name)
		case kind != enumspb.INDEXED_VALUE_TYPE_KEYWORD:
			wrong = append(wrong, name)
		}
	}
	switch {
	case len(wrong) > 0:
		return true, rebased.E(rebased.Invalid, "search attribute %s of namespace %s is not of type Keyword: %s, then %s",
			strings.Join(wrong, " and "), c.namespace, c.attributes("remove", wrong, ""), c.attributes("create", append(wrong, missing...), " --type Keyword"))
	case len(missing) > 0:
		return true, rebased.E(rebased.Invalid, "namespace %s has no search attribute %s: %s",
			c.namespace, strings.Join(missing, " and "), c.attributes("create", missing, " --type Keyword"))
	}
	return true, nil
}

// attributes is the command of Temporal's own tool that does something with search attributes.
func (c *Cluster) attributes(do string, names []string, each string) string {
	var command strings.Builder
	fmt.Fprintf(&command, "temporal operator search-attribute %s --address %s --namespace %s", do, c.address, c.namespace)
	for _, name := range names {
		command.WriteString(" --name " + name + each)
	}
	return command.String()
}
