package engineio

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// SPEC E-13
func TestDecodePacket(t *testing.T) {
	for _, text := range []string{"", "a", "7", "b", "\x1e", " 4"} {
		if p, err := DecodePacket([]byte(text)); !errors.Is(err, ErrParse) {
			t.Errorf("%q: %+v %v", text, p, err)
		}
	}
	p, err := DecodePacket([]byte("4hello"))
	if err != nil || p.Type != PacketMessage || p.Binary || string(p.Data) != "hello" {
		t.Errorf("%+v %v", p, err)
	}
}

// SPEC E-6: what is queued as frames is what a poll gets, and what a POST with
// the same bytes means.
func TestPayloadRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 20).Draw(t, "n")
		var frames []byte
		var want []Packet
		for range n {
			size := rapid.SampledFrom([]int{0, 1, 125, 126, 127, 65535, 65536}).Draw(t, "size")
			if rapid.Bool().Draw(t, "binary") {
				data := bytes.Repeat([]byte{0x1e}, size)
				frames = append(frames, BinaryFrame(data)...)
				want = append(want, Packet{Type: PacketMessage, Binary: true, Data: data})
				continue
			}
			text := []byte(strings.Repeat("é", size/2))
			frames = append(frames, TextFrame(text)...)
			want = append(want, Packet{Type: PacketMessage, Data: text})
		}
		frames = AppendFrame(frames, opClose)
		body := AppendPayload(nil, frames)
		i := 0
		err := DecodePayload(body, func(p Packet) error {
			if p.Type != want[i].Type || p.Binary != want[i].Binary || !bytes.Equal(p.Data, want[i].Data) {
				t.Fatalf("packet %d: %.20q", i, p.Data)
			}
			i++
			return nil
		})
		if err != nil || i != n {
			t.Fatalf("%d packets, %v", i, err)
		}
	})
}

// A callback's error ends the reading.
func TestDecodePayloadStops(t *testing.T) {
	stop, n := errors.New("stop"), 0
	err := DecodePayload([]byte("4a\x1e4b"), func(Packet) error { n++; return stop })
	if !errors.Is(err, stop) || n != 1 {
		t.Errorf("%v after %d", err, n)
	}
}

// SPEC E-23
func TestDeflatedFrames(t *testing.T) {
	d := newDeflater()
	small, large := TextFrame([]byte("small")), TextFrame(bytes.Repeat([]byte("large "), 1000))
	in := slices.Concat(small, large, BinaryFrame(make([]byte, 5000)), AppendFrame(nil, opClose))
	out := d.frames(in)
	if len(out) > len(in)/4 || !bytes.HasPrefix(out, small) {
		t.Fatalf("%d bytes of %d", len(out), len(in))
	}
	rest := out[len(small):]
	if rest[0] != 0xc1 {
		t.Errorf("first byte %#x", rest[0])
	}
	_, payload, _, ok := NextFrame(rest)
	if !ok {
		t.Fatal("no frame")
	}
	r := flate.NewReader(io.MultiReader(bytes.NewReader(payload), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff")))
	plain, err := io.ReadAll(r)
	if err != nil || len(plain) != 6001 {
		t.Errorf("%d bytes, %v", len(plain), err)
	}
	if got := d.frames([]byte("garbage")); string(got) != "garbage" {
		t.Errorf("garbage became %q", got)
	}
}

func TestAppendPayloadOfGarbage(t *testing.T) {
	if got := AppendPayload([]byte("4a"), []byte{0x81}); string(got) != "4a" {
		t.Errorf("%q", got)
	}
}

func FuzzDecodePacket(f *testing.F) {
	f.Add([]byte("4hello"))
	f.Add([]byte("2probe"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := DecodePacket(text)
		if err != nil {
			if !errors.Is(err, ErrParse) {
				t.Errorf("%v", err)
			}
			return
		}
		if string(p.Type)+string(p.Data) != string(text) {
			t.Errorf("%q became %+v", text, p)
		}
	})
}

// FuzzDecodePayload: whatever is accepted means the same when it is sent on.
func FuzzDecodePayload(f *testing.F) {
	f.Add([]byte("4hello\x1ebAQIDBA==\x1e3"))
	f.Add([]byte("b\x1e\x1e"))
	f.Add([]byte("b001="))
	f.Fuzz(func(t *testing.T, body []byte) {
		again, err := reencode(t, bytes.Clone(body)) // it is decoded in place
		if err != nil {
			return
		}
		if len(again) > len(body) {
			t.Errorf("%q became %q", body, again)
		}
		twice, err := reencode(t, bytes.Clone(again))
		if err != nil || !bytes.Equal(again, twice) {
			t.Errorf("%q became %q and then %q: %v", body, again, twice, err)
		}
	})
}

func reencode(t *testing.T, body []byte) (again []byte, err error) {
	err = DecodePayload(body, func(p Packet) error {
		frame := AppendFrame(nil, OpText, []byte{byte(p.Type)}, p.Data)
		if p.Binary {
			frame = BinaryFrame(p.Data)
		} else if !utf8.Valid(p.Data) {
			t.Errorf("accepted %q", p.Data)
		}
		again = AppendPayload(again, frame)
		return nil
	})
	return again, err
}

func FuzzNextFrame(f *testing.F) {
	f.Add(TextFrame([]byte("hello")))
	f.Add(BinaryFrame(make([]byte, 70000)))
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			_, payload, rest, ok := NextFrame(b)
			if !ok {
				return
			}
			if len(payload)+len(rest) >= len(b) {
				t.Fatal("no progress")
			}
			b = rest
		}
	})
}

// The queue gives back what it was given, whatever the writes take.
func TestQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queue
		var want, got []byte
		scratch := make([]byte, 0, 64)
		next := byte(0)
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "push") {
				p := make([]byte, rapid.IntRange(0, 100).Draw(t, "size"))
				for i := range p {
					p[i], next = next, next+1
				}
				want = append(want, p...)
				q.push(p)
				continue
			}
			p := q.next(scratch)
			n := rapid.IntRange(0, len(p)).Draw(t, "taken")
			got = append(got, p[:n]...)
			q.consume(n)
			if q.bytes != len(want)-len(got) {
				t.Fatalf("%d bytes, want %d", q.bytes, len(want)-len(got))
			}
		}
		for !q.empty() {
			p := q.next(scratch)
			got = append(got, p...)
			q.consume(len(p))
		}
		if !bytes.Equal(want, got) || !q.empty() {
			t.Fatal("bytes differ")
		}
	})
}

// The heap gives conns in the order of their times, whatever is set and removed.
func TestTimerHeap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h timerHeap
		conns := make([]*Conn, 20)
		due := make(map[*Conn]int64)
		for i := range conns {
			conns[i] = new(Conn)
		}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			c := rapid.SampledFrom(conns).Draw(t, "conn")
			at := rapid.Int64Range(0, 50).Draw(t, "due")
			h.set(c, at)
			if due[c] = at; at == 0 {
				delete(due, c)
			}
			if len(h) != len(due) {
				t.Fatalf("%d timers, want %d", len(h), len(due))
			}
		}
		last := int64(0)
		for h.first() != 0 {
			if h.pop(h.first()-1) != nil {
				t.Fatal("popped too early")
			}
			c := h.pop(h.first())
			if c.timerDue < last || due[c] != c.timerDue {
				t.Fatalf("%d after %d", c.timerDue, last)
			}
			last = c.timerDue
			delete(due, c)
		}
		if len(due) != 0 {
			t.Fatalf("%d timers lost", len(due))
		}
	})
}
