package graph

import "strings"

// Order keys are strings that sort as bytes. A key is an integer part, whose
// first letter says how long it is, and a fraction without trailing zeros, in
// 62 digits: between any two keys there is another, and appending or
// prepending costs a counter, not a longer fraction.
const (
	keyDigits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	keyFirst  = "a0"
	// maxKey is the length in bytes past which a list is rebalanced, down to
	// three eighths of it.
	maxKey = 64
	// keySmallest is the smallest integer part: "A" and 26 zeros. Alone it is
	// no key, so that there is always one before any key.
	keySmallest = "A00000000000000000000000000"
)

func keyDigit(c byte) int { return strings.IndexByte(keyDigits, c) }

// keyIntLen is the length of the integer part that begins with c; 0 when no
// key begins so.
func keyIntLen(c byte) int {
	switch {
	case c >= 'a' && c <= 'z':
		return int(c-'a') + 2
	case c >= 'A' && c <= 'Z':
		return int('Z'-c) + 2
	default:
		return 0
	}
}

// validKey reports whether a key is one that keyBetween can have made.
func validKey(key string) bool {
	if key == "" || len(key) > 2*maxKey || key == keySmallest {
		return false
	}
	n := keyIntLen(key[0])
	if n == 0 || len(key) < n {
		return false
	}
	for i := 1; i < len(key); i++ {
		if keyDigit(key[i]) < 0 {
			return false
		}
	}
	return len(key) == n || key[len(key)-1] != '0'
}

// keyBetween makes a key that sorts after a and before b, both valid keys
// with a < b; "" stands for an open end.
func keyBetween(a, b string) string {
	switch {
	case a == "" && b == "":
		return keyFirst
	case a == "":
		whole, fraction := b[:keyIntLen(b[0])], b[keyIntLen(b[0]):]
		if whole == keySmallest {
			return whole + keyMidpoint("", fraction, false)
		}
		if whole < b {
			return whole
		}
		lower := keyStep(whole, -1)
		if lower == keySmallest {
			return lower + keyMidpoint("", "", true)
		}
		return lower
	case b == "":
		whole, fraction := a[:keyIntLen(a[0])], a[keyIntLen(a[0]):]
		if next := keyStep(whole, 1); next != "" {
			return next
		}
		return whole + keyMidpoint(fraction, "", true)
	}
	wholeA, fractionA := a[:keyIntLen(a[0])], a[keyIntLen(a[0]):]
	wholeB, fractionB := b[:keyIntLen(b[0])], b[keyIntLen(b[0]):]
	if wholeA == wholeB {
		return wholeA + keyMidpoint(fractionA, fractionB, false)
	}
	if next := keyStep(wholeA, 1); next != "" && next < b {
		return next
	}
	return wholeA + keyMidpoint(fractionA, "", true)
}

// keyMidpoint makes a fraction between a and b; open means that b is 1. No
// fraction ends in a zero.
func keyMidpoint(a, b string, open bool) string {
	var out []byte
	for {
		if !open {
			n := 0
			for n < len(b) && (n < len(a) && a[n] == b[n] || n >= len(a) && b[n] == '0') {
				n++
			}
			out = append(out, b[:n]...)
			a, b = a[min(n, len(a)):], b[n:]
		}
		low, high := 0, len(keyDigits)
		if a != "" {
			low = keyDigit(a[0])
		}
		if !open && b != "" {
			high = keyDigit(b[0])
		}
		if high-low > 1 {
			return string(append(out, keyDigits[(low+high)/2]))
		}
		if !open && len(b) > 1 {
			return string(append(out, b[0]))
		}
		out = append(out, keyDigits[low])
		if a != "" {
			a = a[1:]
		}
		b, open = "", true
	}
}

// keyStep counts an integer part up or down; "" past the end.
func keyStep(whole string, by int) string {
	digits := []byte(whole)
	from, to := keyDigits[len(keyDigits)-1], byte('0')
	if by < 0 {
		from, to = to, from
	}
	for i := len(digits) - 1; i > 0; i-- {
		if digits[i] != from {
			digits[i] = keyDigits[keyDigit(digits[i])+by]
			return string(digits)
		}
		digits[i] = to
	}
	head := digits[0]
	switch {
	case by > 0 && head == 'z', by < 0 && head == 'A':
		return ""
	case by > 0 && head == 'Z':
		return keyFirst
	case by < 0 && head == 'a':
		return "Zz"
	}
	head = byte(int(head) + by)
	n := keyIntLen(head)
	digits[0] = head
	for len(digits) < n {
		digits = append(digits, to)
	}
	return string(digits[:n])
}

// keysBetween makes n keys in order between a and b, as short as can be.
func keysBetween(a, b string, n int) []string {
	if n == 0 {
		return nil
	}
	keys := make([]string, n)
	switch {
	case b == "":
		for i := range keys {
			a = keyBetween(a, "")
			keys[i] = a
		}
	case a == "":
		for i := n - 1; i >= 0; i-- {
			b = keyBetween("", b)
			keys[i] = b
		}
	default:
		middle := n / 2
		keys[middle] = keyBetween(a, b)
		copy(keys, keysBetween(a, keys[middle], middle))
		copy(keys[middle+1:], keysBetween(keys[middle], b, n-middle-1))
	}
	return keys
}
