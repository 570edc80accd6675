package engineio

// queue is the unsent bytes of one conn: whole frames, except that the first
// may have lost its beginning to a partial write. Chunks are never written to:
// a chunk may be shared by many conns. Its owner locks.
type queue struct {
	chunks [][]byte
	head   int // chunks before it are sent
	bytes  int
}

func (q *queue) empty() bool { return q.bytes == 0 }

func (q *queue) push(p []byte) {
	if len(p) == 0 {
		return
	}
	if q.head > 64 && q.head*2 > len(q.chunks) {
		n := copy(q.chunks, q.chunks[q.head:])
		clear(q.chunks[n:])
		q.chunks, q.head = q.chunks[:n], 0
	}
	q.chunks = append(q.chunks, p)
	q.bytes += len(p)
}

// next returns the bytes to write next: the first chunk itself when it is
// large, else as many chunks as fit, copied into scratch.
func (q *queue) next(scratch []byte) []byte {
	if q.bytes == 0 {
		return nil
	}
	first := q.chunks[q.head]
	if q.head+1 == len(q.chunks) || len(first) > cap(scratch)/2 {
		return first
	}
	out := scratch[:0]
	for _, chunk := range q.chunks[q.head:] {
		if len(out)+len(chunk) > cap(scratch) {
			break
		}
		out = append(out, chunk...)
	}
	return out
}

// consume drops n bytes from the front.
func (q *queue) consume(n int) {
	q.bytes -= n
	for n > 0 {
		first := q.chunks[q.head]
		if n < len(first) {
			q.chunks[q.head] = first[n:]
			return
		}
		n -= len(first)
		q.chunks[q.head] = nil
		q.head++
	}
	if q.bytes == 0 {
		*q = queue{} // an idle conn keeps nothing
	}
}

// payload takes the polling form of at most that many packets off the front.
func (q *queue) payload(most int) []byte {
	var body []byte
	for n := 0; n < most && !q.empty(); n++ {
		chunk := q.chunks[q.head]
		_, _, rest, ok := NextFrame(chunk)
		if !ok {
			rest = nil // frames are made by this package: they are whole
		}
		frame := chunk[:len(chunk)-len(rest)]
		body = AppendPayload(body, frame)
		q.consume(len(frame))
	}
	return body
}
