package stack

import (
	"context"
	"io"

	"github.com/rebased/rebased/infra/local/folder"
	"github.com/rebased/rebased/infra/local/probe"
	"github.com/rebased/rebased/infra/local/s3"
	"github.com/rebased/rebased/infra/local/temporal"
)

// Part is one server of the stack, by the name of its command, its lock, its log and its folder.
type Part string

// The parts, in the order in which they start.
const (
	Temporal Part = "temporal"
	S3       Part = "s3"
	Qdrant   Part = "qdrant"
	Teacher  Part = "teacher"
)

// All are the parts of the whole stack.
func All() []Part { return []Part{Temporal, S3, Qdrant, Teacher} }

// Services are the ports that a part listens on.
func (p Part) Services() []folder.Service {
	switch p {
	case Temporal:
		return []folder.Service{folder.Temporal, folder.UI, folder.TemporalHistory, folder.TemporalMatching, folder.TemporalWorker, folder.TemporalHTTP}
	case S3:
		return []folder.Service{folder.S3}
	case Qdrant:
		return []folder.Service{folder.Qdrant}
	case Teacher:
		return []folder.Service{folder.Teacher}
	}
	return nil
}

// probe finds out whether the part answers.
func (p Part) probe() func(context.Context, *folder.Folder) error {
	switch p {
	case Temporal:
		return probe.Temporal
	case S3:
		return probe.S3
	case Qdrant:
		return probe.Qdrant
	default:
		return probe.Teacher
	}
}

// server is what a part runs: it serves until the context is done.
type server interface {
	Serve(ctx context.Context) error
}

// open prepares the server of a part, whose ports are known to be free.
func (c Config) open(p Part, log io.Writer) (server, error) {
	switch p {
	case Temporal:
		return c.temporal(log)
	case S3:
		return c.s3()
	case Qdrant:
		return c.qdrant(log)
	default:
		return c.teacher(log)
	}
}

func (c Config) temporal(log io.Writer) (server, error) {
	ports, http := c.Folder.Ports, 0
	if c.Nexus {
		http = ports.Port(folder.TemporalHTTP)
	}
	return temporal.New(temporal.Config{
		Dir:       c.Folder.Path("temporal"),
		Namespace: folder.Namespace,
		Frontend:  ports.Port(folder.Temporal),
		History:   ports.Port(folder.TemporalHistory),
		Matching:  ports.Port(folder.TemporalMatching),
		Worker:    ports.Port(folder.TemporalWorker),
		UI:        ports.Port(folder.UI),
		HTTP:      http,
		Log:       log,

		HistoryEvents: c.HistoryEvents,
	})
}

func (c Config) s3() (server, error) {
	return s3.New(s3.Config{
		Dir:       c.Folder.Path("s3"),
		Address:   c.Folder.Ports.Address(folder.S3),
		AccessKey: c.Folder.Credentials.S3AccessKey,
		SecretKey: c.Folder.Credentials.S3SecretKey,
		Region:    folder.Region,
		Bucket:    folder.Bucket,
	})
}
