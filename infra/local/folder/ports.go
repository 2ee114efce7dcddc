package folder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"strconv"

	"github.com/rebased/rebased"
)

// Where the ports of a stack begin.
const (
	DefaultBase = 7230 // Temporal then listens on 7233, its usual port
	Free        = 0    // ports that nobody uses now
	Remembered  = -1   // the ports that the folder used last
)

// Service is something that listens on a port, as its distance from the first port of the stack.
type Service int

// The services of a stack. Temporal's own three talk among themselves only.
const (
	UI               Service = 0
	S3               Service = 1
	Qdrant           Service = 2
	Temporal         Service = 3
	TemporalHistory  Service = 4
	TemporalMatching Service = 5
	Teacher          Service = 6
	TemporalWorker   Service = 7
	TemporalHTTP     Service = 8 // on demand
	Worker           Service = 9 // health and metrics

	portsOfStack = 10
)

// String names the service.
func (s Service) String() string {
	names := map[Service]string{
		UI: "web UI", S3: "s3", Qdrant: "qdrant", Temporal: "temporal", TemporalHistory: "temporal history",
		TemporalMatching: "temporal matching", Teacher: "teacher", Worker: "worker health", TemporalWorker: "temporal worker service",
		TemporalHTTP: "temporal http",
	}
	return names[s]
}

// Ports are the ports of one stack: ten in a row from Base on.
type Ports struct {
	Base int `json:"base"`
}

// Port is the port of a service.
func (p Ports) Port(s Service) int { return p.Base + int(s) }

// Address is host and port of a service, always on loopback.
func (p Ports) Address(s Service) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Port(s)))
}

// Listen binds the port of a service. A port that is in use is an error of kind Invalid that names the port and the flag that moves it.
func (p Ports) Listen(s Service) (net.Listener, error) {
	l, err := net.Listen("tcp", p.Address(s))
	if err != nil {
		return nil, rebased.E(rebased.Invalid, "port %d for %s is in use: stop what listens there, or move the stack with --port-base: %w", p.Port(s), s, err)
	}
	return l, nil
}

// Check finds out whether the ports of services can be bound, with the error of Listen.
func (p Ports) Check(services ...Service) error {
	for _, s := range services {
		l, err := p.Listen(s)
		if err != nil {
			return err
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}

// RememberPorts makes the ports those that the folder used last.
func (f *Folder) RememberPorts() error {
	b, err := json.Marshal(f.Ports)
	if err != nil {
		return err
	}
	return replaceFile(f.Path("ports.json"), append(b, '\n'))
}

func choosePorts(path string, base int) (Ports, error) {
	switch base {
	case Remembered:
		return readPorts(path)
	case Free:
		return freePorts()
	}
	return checked(Ports{Base: base})
}

func readPorts(path string) (Ports, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Ports{Base: DefaultBase}, nil
	}
	if err != nil {
		return Ports{}, err
	}
	var p Ports
	if err := json.Unmarshal(b, &p); err != nil {
		return Ports{}, rebased.E(rebased.Invalid, "%s is damaged: remove it, or give --port-base: %w", path, err)
	}
	return checked(p)
}

func checked(p Ports) (Ports, error) {
	const low, high = 1024, 65536 - portsOfStack
	if p.Base < low || p.Base > high {
		return Ports{}, rebased.E(rebased.Invalid, "--port-base %d is out of bounds: give 0 for free ports, or %d to %d", p.Base, low, high)
	}
	return p, nil
}

// freePorts looks for ten free ports below those that the system hands out to outgoing connections (from 32768 on Linux, 49152 elsewhere),
// so that no connection takes one between the look and the use.
func freePorts() (Ports, error) {
	const low, high, tries = 10_000, 32_000, 200
	var err error
	for range tries {
		p := Ports{Base: low + portsOfStack*rand.IntN((high-low)/portsOfStack)}
		if err = p.Check(UI, S3, Qdrant, Temporal, TemporalHistory, TemporalMatching, Teacher, Worker, TemporalWorker, TemporalHTTP); err == nil {
			return p, nil
		}
	}
	return Ports{}, fmt.Errorf("found no free ports: %w", err)
}
