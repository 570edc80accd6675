package load

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// websocketGUID is the constant of RFC 6455 section 1.3.
const websocketGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// Options say where and how to connect. Address is required.
type Options struct {
	Address    string // host:port
	Namespace  string // "/" when empty
	Auth       any    // the CONNECT packet's payload; none when nil
	ReadBuffer int    // SO_RCVBUF in bytes; the system's choice when 0
}

// Conn is one Socket.IO connection over websocket, joined to one namespace.
// One goroutine may read while another writes.
type Conn struct {
	raw       *net.TCPConn
	in        *bufio.Reader
	namespace string
	prefix    string // what follows "42": the namespace and its comma, or nothing
	sid       string
}

// ConnectError is the server's refusal of the CONNECT packet.
type ConnectError struct{ Payload json.RawMessage }

// Error implements error with the refusal's JSON.
func (e *ConnectError) Error() string { return "load: CONNECT refused: " + string(e.Payload) }

// ErrConnectLost says that the handshake was fine and CONNECT was sent, but
// no answer to it came before the context ended.
var ErrConnectLost = errors.New("load: no answer to CONNECT")

// Dial connects, upgrades, and joins the namespace; it returns when the
// server has answered the CONNECT packet. CONNECT is sent the moment OPEN was
// read, as a client does. It blocks until ctx ends at most. The error is a
// *ConnectError when the namespace refused, ErrConnectLost when it kept
// silent.
func Dial(ctx context.Context, o Options) (*Conn, error) {
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", o.Address)
	if err != nil {
		return nil, err
	}
	c := &Conn{raw: raw.(*net.TCPConn), namespace: "/"}
	if o.Namespace != "" && o.Namespace != "/" {
		c.namespace, c.prefix = o.Namespace, o.Namespace+","
	}
	if o.ReadBuffer > 0 {
		_ = c.raw.SetReadBuffer(o.ReadBuffer)
	}
	c.in = bufio.NewReaderSize(raw, 2048)
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	err = c.open(o)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	return c, nil
}

// SID returns the socket's id as the server named it in its CONNECT answer.
func (c *Conn) SID() string { return c.sid }

// Close closes the TCP connection without a farewell.
func (c *Conn) Close() error { return c.raw.Close() }

// Emit sends an event with one argument.
func (c *Conn) Emit(event string, arg any) error {
	packet, err := eventPacket(c.prefix, event, arg)
	if err != nil {
		return err
	}
	return c.write(packet)
}

// Read returns the next EVENT of the connection's namespace: its name and its
// first argument. It answers pings on the way and skips other packets. It
// blocks until an event or the connection's end; the error is then io.EOF or
// the network's.
func (c *Conn) Read() (event string, payload json.RawMessage, err error) {
	for {
		packet, err := c.packet()
		if err != nil {
			return "", nil, err
		}
		body, ok := strings.CutPrefix(packet, "42"+c.prefix)
		if !ok {
			if strings.HasPrefix(packet, "41") {
				return "", nil, io.EOF
			}
			continue
		}
		var args []json.RawMessage
		if err := json.Unmarshal([]byte(body), &args); err != nil || len(args) == 0 {
			return "", nil, fmt.Errorf("load: unreadable event %.80q", packet)
		}
		if err := json.Unmarshal(args[0], &event); err != nil {
			return "", nil, fmt.Errorf("load: unreadable event name %.80q", packet)
		}
		if len(args) > 1 {
			payload = args[1]
		}
		return event, payload, nil
	}
}

// SetReadDeadline bounds Read; the zero time lifts the bound.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.raw.SetReadDeadline(t) }

func eventPacket(prefix, event string, arg any) (string, error) {
	body, err := json.Marshal([]any{event, arg})
	if err != nil {
		return "", err
	}
	return "42" + prefix + string(body), nil
}

func (c *Conn) write(packet string) error {
	_, err := c.raw.Write(appendFrame(nil, opText, packet))
	return err
}

// open does the WebSocket, Engine.IO and Socket.IO handshakes.
func (c *Conn) open(o Options) error {
	const key = "Z3JhcGhyb29tLWJlbmNoLg=="
	_, err := fmt.Fprintf(c.raw, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: %s\r\n"+
		"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n", o.Address, key)
	if err != nil {
		return err
	}
	answer, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }() // empty after 101: it reads nothing of what follows
	if answer.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(io.LimitReader(answer.Body, 512))
		return fmt.Errorf("load: handshake answered %s: %s", answer.Status, body)
	}
	sum := sha1.Sum([]byte(key + websocketGUID))
	if answer.Header.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]) {
		return errors.New("load: wrong Sec-WebSocket-Accept")
	}
	first, err := c.packet()
	if err != nil {
		return err
	}
	if !strings.HasPrefix(first, "0{") {
		return fmt.Errorf("load: no OPEN packet but %.40q", first)
	}
	return c.join(o.Auth)
}

func (c *Conn) join(auth any) error {
	packet := "40" + c.prefix
	if auth != nil {
		body, err := json.Marshal(auth)
		if err != nil {
			return err
		}
		packet += string(body)
	}
	if err := c.write(packet); err != nil {
		return err
	}
	for {
		answer, err := c.packet()
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			return ErrConnectLost
		}
		if err != nil {
			return err
		}
		if body, ok := strings.CutPrefix(answer, "40"+c.prefix); ok {
			var reply struct{ SID string }
			if err := json.Unmarshal([]byte(body), &reply); err != nil {
				return fmt.Errorf("load: unreadable CONNECT answer %.80q", answer)
			}
			c.sid = reply.SID
			return nil
		}
		if body, ok := strings.CutPrefix(answer, "44"+c.prefix); ok {
			return &ConnectError{Payload: json.RawMessage(body)}
		}
	}
}

// packet reads one Engine.IO packet, answering the heartbeat.
func (c *Conn) packet() (string, error) {
	var message []byte
	for {
		h, err := c.header()
		if err != nil {
			return "", err
		}
		body := make([]byte, h.payload)
		if _, err := io.ReadFull(c.in, body); err != nil {
			return "", err
		}
		switch h.opcode {
		case opClose:
			return "", io.EOF
		case opPing:
			if _, err := c.raw.Write(appendFrame(nil, opPong, string(body))); err != nil {
				return "", err
			}
			continue
		case opPong:
			continue
		}
		if message = append(message, body...); !h.fin {
			continue
		}
		if string(message) == "2" {
			if err := c.write("3"); err != nil {
				return "", err
			}
			message = nil
			continue
		}
		return string(message), nil
	}
}

func (c *Conn) header() (header, error) {
	for want := 2; ; want++ {
		buf, err := c.in.Peek(want)
		if err != nil {
			return header{}, err
		}
		h, ok, err := parseHeader(buf)
		if err != nil {
			return header{}, err
		}
		if ok {
			_, err := c.in.Discard(h.size)
			return h, err
		}
	}
}
