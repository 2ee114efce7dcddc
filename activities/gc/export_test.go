package gc

import "time"

// Lapsed makes the mark one that is to be written anew.
func (c *Collector) Lapsed() { c.lease.at = time.Now().Add(-2 * renewed) }
