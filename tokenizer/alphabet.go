package tokenizer

import "unicode/utf8"

// GPT-2's files spell a token with one printable character per byte: the
// printable bytes of Latin-1 as themselves, the other 68 as U+0100 and up, in
// ascending order. A space, for example, is spelt Ġ. The ids of the 256 single
// bytes are in the order of these characters.

// alphabet holds the character of each byte.
var alphabet = func() (a [256]rune) {
	next := rune(0x100)
	for b := range a {
		if b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae {
			a[b] = rune(b)
		} else {
			a[b] = next
			next++
		}
	}
	return a
}()

// unalphabet holds the byte of each character, or -1.
var unalphabet = func() (u [0x100 + 68]int16) {
	for i := range u {
		u[i] = -1
	}
	for b, r := range alphabet {
		u[r] = int16(b)
	}
	return u
}()

// spell returns the spelling of the bytes of a token.
func spell(token []byte) string {
	s := make([]byte, 0, 2*len(token))
	for _, b := range token {
		s = utf8.AppendRune(s, alphabet[b])
	}
	return string(s)
}

// appendUnspelt appends to dst the bytes spelt by s; ok is false if s has a
// character outside the alphabet.
func appendUnspelt(dst []byte, s string) (_ []byte, ok bool) {
	for _, r := range s {
		if int(r) >= len(unalphabet) || unalphabet[r] < 0 {
			return dst, false
		}
		dst = append(dst, byte(unalphabet[r]))
	}
	return dst, true
}
