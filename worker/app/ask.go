package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// askWithin bounds how long a worker may take to say that it is alive.
const askWithin = 3 * time.Second

// ask asks the worker of the same environment whether it polls. Images without a shell have it as their health check.
func ask(ctx context.Context, healthAddress string) error {
	if healthAddress == "" {
		return errors.New("there is nothing to ask: REBASED_HEALTH_ADDR is off")
	}
	host, port, err := net.SplitHostPort(healthAddress)
	if err != nil {
		return fmt.Errorf("REBASED_HEALTH_ADDR: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() { // all addresses of this machine
		host = "localhost"
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/healthz", nil)
	if err != nil {
		return fmt.Errorf("REBASED_HEALTH_ADDR: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("the worker does not answer: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(response.Body, 1000)) //nolint:errcheck // what was read is said
		return fmt.Errorf("the worker answers %s: %.200s", response.Status, said)
	}
	return nil
}
