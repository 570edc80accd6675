package session

import (
	"bytes"
	"strings"
	"testing"
)

func pack(t *testing.T, data []byte) []byte {
	p := newPacker(len(data), nil)
	p.raw(data)
	out, size, err := p.done()
	if err != nil || size != len(data) {
		t.Fatalf("%d bytes became %d: %v", len(data), size, err)
	}
	return out
}

func TestPack(t *testing.T) {
	small := []byte(`{"v":1}`)
	if got := pack(t, small); !bytes.Equal(got, small) {
		t.Errorf("a small entry became %q", got)
	}
	large := []byte(`{"v":1,"x":"` + strings.Repeat("some text ", packFrom) + `"}`)
	packed := pack(t, large)
	if len(packed) > len(large)/4 {
		t.Errorf("%d of %d bytes", len(packed), len(large))
	}
	for _, data := range [][]byte{small, large} {
		if got, err := unpack(pack(t, data)); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes came back as %d, %v", len(data), len(got), err)
		}
	}
	packed[len(packed)/2] ^= 1
	if _, err := unpack(packed); err == nil {
		t.Error("a damaged value was unpacked")
	}
}
