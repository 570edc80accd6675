package session

import (
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
)

// BenchmarkExecute is one UpdateProperty through a turn of its own: decoded,
// planned, applied, encoded, appended to memory and published to nobody.
func BenchmarkExecute(b *testing.B) {
	r := newRoom(b, nil)
	node := r.create("ann", r.root)
	data := func(i int) json.RawMessage {
		return json.RawMessage(fmt.Sprintf(`{"node_id":%q,"property_id":"note","value":"this is note number %s"}`, node, strconv.Itoa(i)))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := r.s.Execute(b.Context(), Execute{Actor: "ann", Type: "UpdateProperty", Data: data(i)}); err != nil {
			b.Fatal(err)
		}
	}
}
