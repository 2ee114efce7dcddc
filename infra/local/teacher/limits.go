package teacher

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Limits are what the teacher takes, as a provider does. What is over them is answered 429 with Retry-After.
type Limits struct {
	RPM        int  `json:"rpm"`        // requests a minute, by a bucket of one second's worth that fills evenly; 0 = no limit
	Headers    bool `json:"headers"`    // say the limit in OpenAI's x-ratelimit headers; else a client has to find it
	Concurrent int  `json:"concurrent"` // requests at one time; 0 = no limit
}

// gate holds the state of the limits.
type gate struct {
	now func() time.Time

	mu    sync.Mutex
	level float64
	at    time.Time
	rpm   int
	open  int
}

// minute in seconds.
const minute = 60

// enter takes a request in, or says after how many seconds it may come again. Each that is let in must leave.
func (g *gate) enter(l Limits, h http.Header) (retryAfter int, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if l.Concurrent > 0 && g.open >= l.Concurrent {
		return 1, false
	}
	if l.RPM > 0 && !g.take(l, h) {
		return int(math.Ceil((1 - g.level) * minute / float64(l.RPM))), false
	}
	g.open++
	return 0, true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open--
}

func (g *gate) take(l Limits, h http.Header) bool {
	now, rate := g.now(), float64(l.RPM)/minute
	burst := max(1, rate)
	if g.rpm != l.RPM {
		g.rpm, g.level = l.RPM, burst
	} else {
		g.level = min(burst, g.level+now.Sub(g.at).Seconds()*rate)
	}
	g.at = now
	ok := g.level >= 1
	if ok {
		g.level--
	}
	if l.Headers {
		h.Set("X-Ratelimit-Limit-Requests", strconv.Itoa(l.RPM))
		h.Set("X-Ratelimit-Remaining-Requests", strconv.Itoa(int(max(0, g.level))))
		h.Set("X-Ratelimit-Reset-Requests", fmt.Sprintf("%dms", int((burst-g.level)/rate*1000)))
	}
	return ok
}
