package engineio_test

import (
	"errors"
	"testing"
	"time"

	"github.com/graphroom/graphroom/internal/engineio"
)

// An answer does not wait for the lane's next flush, takes what was sent and
// broadcast before along, in order, and leaves the pace of the others alone.
func TestSendNow(t *testing.T) {
	bubble(t, engineio.Config{Lanes: 1, FlushInterval: 50 * time.Millisecond}, nil, func(f *fixture) {
		ws, _ := f.websocket()
		other, _ := f.websocket()
		g, _ := f.room(0, 1)
		time.Sleep(time.Second)
		start := time.Now()
		g.Broadcast(&message{tag: 1}) // the first after silence goes at once
		f.read(ws)
		f.read(other)
		f.wait("the writer", func() bool { return true })
		g.Broadcast(&message{tag: 2})
		if err := f.conn(0).Send(engineio.TextFrame([]byte("sent"))); err != nil {
			f.Fatal(err)
		}
		g.Broadcast(&message{tag: 3})
		if err := f.conn(0).SendNow(engineio.TextFrame([]byte("now"))); err != nil {
			f.Fatal(err)
		}
		for _, want := range []string{"40:2:", "4sent", "40:3:", "4now"} {
			if got := f.read(ws); got != want {
				f.Errorf("read %q, want %q", got, want)
			}
		}
		if d := time.Since(start); d != 0 {
			f.Errorf("the answer took %v", d)
		}
		for _, want := range []string{"40:2:", "40:3:"} {
			if got := f.read(other); got != want {
				f.Errorf("the other read %q, want %q", got, want)
			}
		}
		if d := time.Since(start); d != 50*time.Millisecond {
			f.Errorf("the other waited %v", d)
		}
		g.Broadcast(&message{tag: 4})
		if got := f.read(ws); got != "40:4:" {
			f.Errorf("then read %q", got)
		}
	})
}

// What a slow peer does not take at once is written later, in order; past the
// bound and after the end an answer is refused.
func TestSendNowBounds(t *testing.T) {
	both(t, engineio.Config{MaxQueue: 64 << 10}, nil, func(f *fixture) {
		ws, _ := f.websocket()
		p := f.polling()
		big := make([]byte, 32<<10)
		for i := range big {
			big[i] = 'x'
		}
		var err error
		n := 0
		for ; err == nil && n < 10_000; n++ {
			err = f.conn(0).SendNow(engineio.TextFrame(big))
		}
		if !errors.Is(err, engineio.ErrQueueFull) {
			f.Fatalf("after %d: %v", n, err)
		}
		for range n - 1 {
			if got := f.read(ws); len(got) != len(big)+1 {
				f.Fatalf("read %d bytes", len(got))
			}
		}
		if err := f.conn(1).SendNow(engineio.TextFrame([]byte("polled"))); err != nil {
			f.Fatal(err)
		}
		f.expect(f.get(p), 200, "4polled")
		_ = ws.Close()
		f.wait("the end", func() bool { return errors.Is(f.conn(0).SendNow(nil), engineio.ErrClosed) })
	})
}
