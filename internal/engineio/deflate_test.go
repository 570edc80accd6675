package engineio_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/graphroom/graphroom/internal/engineio"
	"github.com/graphroom/graphroom/internal/engineio/enginetest"
)

func inflate(f *fixture, frame enginetest.Frame) string {
	f.Helper()
	if frame.First&0x40 == 0 {
		return string(frame.Payload)
	}
	r := flate.NewReader(io.MultiReader(bytes.NewReader(frame.Payload), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff")))
	b, err := io.ReadAll(r)
	if err != nil {
		f.Fatal(err)
	}
	return string(b)
}

// SPEC E-23
func TestDeflate(t *testing.T) {
	offer := http.Header{"Sec-Websocket-Extensions": {"permessage-deflate; client_max_window_bits"}}
	both(t, engineio.Config{Deflate: true}, echo, func(f *fixture) {
		ws := f.rawWebSocket("", offer)
		if got := ws.Header.Get("Sec-Websocket-Extensions"); got != "permessage-deflate; server_no_context_takeover; client_no_context_takeover" {
			f.Errorf("extensions %q", got)
		}
		f.read(ws) // the open packet: from here the server knows it
		plain := f.rawWebSocket("", http.Header{"Sec-Websocket-Extensions": {"permessage-deflate; server_max_window_bits=10"}})
		if got := plain.Header.Get("Sec-Websocket-Extensions"); got != "" {
			f.Errorf("declined offer answered %q", got)
		}
		f.read(plain)
		p := f.polling()
		g, subs := f.room(0, 1, 2)
		upgraded := f.rawWebSocket(p.Handshake.SID, offer)
		f.write(upgraded, "2probe")
		f.read(upgraded)
		f.write(upgraded, "5")
		f.wait("the upgrade", func() bool { return f.srv.Stats().Upgrades == 1 })

		m := &message{tag: 1, text: strings.Repeat("all work and no play ", 200)}
		want := fmt.Sprintf("40:1:%s", m.text)
		check := func(ws *enginetest.WebSocket, deflated bool) {
			f.Helper()
			frame, err := ws.ReadFrame()
			if err != nil {
				f.Fatal(err)
			}
			if got := inflate(f, frame); got != want || (frame.First&0x40 != 0) != deflated || (deflated && len(frame.Payload) > 500) {
				f.Errorf("first byte %#x, %d bytes: %.30q", frame.First, len(frame.Payload), got)
			}
		}
		g.Broadcast(m)
		check(ws, true)
		check(plain, false)
		check(upgraded, true)
		if err := subs[0].SendMessage(f.ctx, m); err != nil {
			f.Fatal(err)
		}
		check(ws, true)
		want = "4" + strings.Repeat("y", 2000)
		var b bytes.Buffer
		w, err := flate.NewWriter(&b, flate.BestSpeed)
		if err != nil {
			f.Fatal(err)
		}
		_, _ = io.WriteString(w, want)
		_ = w.Flush()
		if err := ws.WriteFrame(enginetest.Frame{First: 0xc1, Payload: bytes.TrimSuffix(b.Bytes(), []byte{0, 0, 255, 255})}); err != nil {
			f.Fatal(err)
		}
		check(ws, true)
	})
}

// SPEC E-23: a small message that inflates past maxPayload ends the conn.
func TestDeflateBomb(t *testing.T) {
	both(t, engineio.Config{Deflate: true, MaxPayload: 10_000}, echo, func(f *fixture) {
		ws := f.rawWebSocket("", http.Header{"Sec-Websocket-Extensions": {"permessage-deflate"}})
		f.read(ws)
		var b bytes.Buffer
		w, err := flate.NewWriter(&b, flate.BestCompression)
		if err != nil {
			f.Fatal(err)
		}
		_, _ = io.WriteString(w, "4"+strings.Repeat("y", 1<<20))
		_ = w.Flush()
		if err := ws.WriteFrame(enginetest.Frame{First: 0xc1, Payload: bytes.TrimSuffix(b.Bytes(), []byte{0, 0, 255, 255})}); err != nil {
			f.Fatal(err)
		}
		f.ended(ws)
		_ = ws.Close()
		f.wait("the end", func() bool { return len(f.reasons()) == 1 })
		if got := f.got(); len(got) != 0 {
			f.Errorf("%d messages", len(got))
		}
	})
}
