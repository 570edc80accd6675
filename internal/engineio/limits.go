package engineio

import "time"

// bucket is a token bucket that holds up to two seconds' worth. Its owner
// locks; times are of the server clock.
type bucket struct {
	tokens float64
	at     int64
}

// take takes one token, or returns how long one takes to come.
func (b *bucket) take(now int64, perSecond int) time.Duration {
	limit := float64(2 * perSecond)
	b.tokens = min(limit, b.tokens+float64(now-b.at)*float64(perSecond)/1e9)
	b.at = now
	if b.tokens >= 1 {
		b.tokens--
		return 0
	}
	return time.Duration((1 - b.tokens) / float64(perSecond) * 1e9)
}

// throttle waits until the conn may read one more message. It reports false
// when the conn ended meanwhile.
func (c *Conn) throttle() bool {
	rate := c.srv.cfg.Limits.MessagesPerSecond
	if rate <= 0 {
		return true
	}
	for {
		wait := c.reads.take(c.srv.now(), rate)
		if wait == 0 {
			return true
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-c.Done():
			timer.Stop()
			return false
		}
	}
}
