package session

import (
	"bytes"
	"strings"
	"testing"
)

func TestPack(t *testing.T) {
	small := []byte(`{"v":1}`)
	if got := pack(small); !bytes.Equal(got, small) {
		t.Errorf("a small entry became %q", got)
	}
	large := []byte(`{"v":1,"x":"` + strings.Repeat("some text ", packFrom) + `"}`)
	packed := pack(large)
	if len(packed) > len(large)/4 {
		t.Errorf("%d of %d bytes", len(packed), len(large))
	}
	for _, data := range [][]byte{small, large} {
		if got, err := unpack(pack(data)); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes came back as %d, %v", len(data), len(got), err)
		}
	}
	packed[len(packed)/2] ^= 1
	if _, err := unpack(packed); err == nil {
		t.Error("a damaged value was unpacked")
	}
}
