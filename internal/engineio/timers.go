package engineio

// timerHeap holds at most one due time per conn, the earliest first. Its owner
// locks; Conn.timerIndex and Conn.timerDue belong to it.
type timerHeap []*Conn

// first returns the earliest due time, 0 when there is none.
func (h timerHeap) first() int64 {
	if len(h) == 0 {
		return 0
	}
	return h[0].timerDue
}

// set gives c the due time; 0 removes it.
func (h *timerHeap) set(c *Conn, due int64) {
	if due == 0 {
		h.remove(c)
		return
	}
	c.timerDue = due
	if c.timerIndex == 0 {
		*h = append(*h, c)
		c.timerIndex = len(*h)
	}
	h.fix(c.timerIndex - 1)
}

// pop removes and returns a conn that is due, nil when none is.
func (h *timerHeap) pop(now int64) *Conn {
	if len(*h) == 0 || (*h)[0].timerDue > now {
		return nil
	}
	c := (*h)[0]
	h.remove(c)
	return c
}

func (h *timerHeap) remove(c *Conn) {
	if c.timerIndex == 0 {
		return
	}
	i, last := c.timerIndex-1, len(*h)-1
	h.swap(i, last)
	(*h)[last] = nil
	*h = (*h)[:last]
	c.timerIndex = 0
	if i < last {
		h.fix(i)
	}
}

func (h timerHeap) swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].timerIndex, h[j].timerIndex = i+1, j+1
}

func (h timerHeap) fix(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if h[parent].timerDue <= h[i].timerDue {
			break
		}
		h.swap(i, parent)
		i = parent
	}
	for {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if right := child + 1; right < len(h) && h[right].timerDue < h[child].timerDue {
			child = right
		}
		if h[i].timerDue <= h[child].timerDue {
			return
		}
		h.swap(i, child)
		i = child
	}
}
