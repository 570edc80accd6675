package load

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Packet is an event that the server sent, or its acknowledgement of a
// Request.
type Packet struct {
	Event   string          // of an event; "" for an acknowledgement
	Ack     int             // of an acknowledgement: the id of its Request; else -1
	Payload json.RawMessage // the first argument
}

// Request sends an event with one argument and asks for an acknowledgement,
// which Next returns with that id. Ids are the caller's, 0 or more.
func (c *Conn) Request(id int, event string, arg any) error {
	body, err := json.Marshal([]any{event, arg})
	if err != nil {
		return err
	}
	return c.write("42" + c.prefix + strconv.Itoa(id) + string(body))
}

// Next returns the next event or acknowledgement of the connection's
// namespace. Else it is as Read.
func (c *Conn) Next() (Packet, error) {
	for {
		text, err := c.packet()
		if err != nil {
			return Packet{}, err
		}
		if strings.HasPrefix(text, "41") {
			return Packet{}, io.EOF
		}
		if len(text) < 2 || text[0] != '4' || text[1] != '2' && text[1] != '3' || !strings.HasPrefix(text[2:], c.prefix) {
			continue
		}
		return parsePacket(text[1] == '3', text[2+len(c.prefix):])
	}
}

func parsePacket(ack bool, body string) (Packet, error) {
	p := Packet{Ack: -1}
	open := strings.IndexByte(body, '[')
	if open < 0 {
		return p, fmt.Errorf("load: unreadable packet %.80q", body)
	}
	var args []json.RawMessage
	if err := json.Unmarshal([]byte(body[open:]), &args); err != nil {
		return p, fmt.Errorf("load: unreadable packet %.80q", body)
	}
	if ack {
		id, err := strconv.Atoi(body[:open])
		if err != nil {
			return p, fmt.Errorf("load: unreadable acknowledgement %.80q", body)
		}
		p.Ack = id
	} else {
		if len(args) == 0 || json.Unmarshal(args[0], &p.Event) != nil {
			return p, fmt.Errorf("load: unreadable event %.80q", body)
		}
		args = args[1:]
	}
	if len(args) > 0 {
		p.Payload = args[0]
	}
	return p, nil
}
