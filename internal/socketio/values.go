package socketio

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/graphroom/graphroom/internal/engineio"
)

// Binary is an argument, or a part of one, that travels as an attachment.
type Binary []byte

// placeholder stands in the JSON of a binary packet for one attachment.
type placeholder struct {
	Placeholder bool `json:"_placeholder"`
	Num         int  `json:"num"`
}

// encodeArgs returns args as a JSON array, behind the name when there is one,
// and the attachments in order. A Binary is found as an argument and inside
// map[string]any and []any. A json.RawMessage is sent as it is.
func encodeArgs(name *string, args []any) ([]byte, [][]byte, error) {
	var attachments [][]byte
	buf := bytes.NewBuffer(make([]byte, 0, 128))
	buf.WriteByte('[')
	if name != nil {
		buf.Write(quote(*name))
	}
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	for i, arg := range args {
		if i > 0 || name != nil {
			buf.WriteByte(',')
		}
		if raw, ok := arg.(json.RawMessage); ok && len(raw) > 0 && json.Valid(raw) {
			buf.Write(raw)
			continue
		}
		if err := enc.Encode(extract(arg, &attachments)); err != nil {
			return nil, nil, fmt.Errorf("socketio: argument %d: %w", i, err)
		}
		buf.Truncate(buf.Len() - 1) // the encoder's line feed
	}
	buf.WriteByte(']')
	return validUTF8(buf.Bytes()), attachments, nil
}

// extract replaces the Binary values of v by placeholders.
func extract(v any, attachments *[][]byte) any {
	switch v := v.(type) {
	case Binary:
		*attachments = append(*attachments, v)
		return placeholder{Placeholder: true, Num: len(*attachments) - 1}
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = extract(v[i], attachments)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for key := range v {
			out[key] = extract(v[key], attachments)
		}
		return out
	}
	return v
}

var errPlaceholder = errors.New("socketio: a placeholder without its attachment")

// decodeValue reads one argument with its attachments in place: objects are
// map[string]any, arrays []any, numbers json.Number, attachments Binary.
func decodeValue(raw json.RawMessage, attachments [][]byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("socketio: argument: %w", err)
	}
	return insert(v, attachments)
}

func insert(v any, attachments [][]byte) (any, error) {
	var err error
	switch v := v.(type) {
	case []any:
		for i := range v {
			if v[i], err = insert(v[i], attachments); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		if v["_placeholder"] == true {
			n, ok := v["num"].(json.Number)
			i, err := n.Int64()
			if !ok || err != nil || i < 0 || i >= int64(len(attachments)) {
				return nil, errPlaceholder
			}
			return Binary(attachments[i]), nil
		}
		for key := range v {
			if v[key], err = insert(v[key], attachments); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// checkPlaceholders reports whether every placeholder of a binary packet has
// its attachment.
func checkPlaceholders(data []byte, attachments [][]byte) bool {
	_, err := decodeValue(data, attachments)
	return err == nil
}

// dataFrames returns the finished frames of an event or an acknowledgement.
func dataFrames(p Packet, attachments [][]byte) []byte {
	if len(attachments) > 0 {
		p.Attachments = len(attachments)
		if p.Type == PacketEvent {
			p.Type = PacketBinaryEvent
		} else {
			p.Type = PacketBinaryAck
		}
	}
	data := p.Data
	p.Data = nil
	frames := engineio.TextFrame(AppendPacket(nil, p), data)
	for _, a := range attachments {
		frames = append(frames, engineio.BinaryFrame(a)...)
	}
	return frames
}
