package textfile

import "strings"

// Brief returns err with at most about 200 bytes of its text, in one line. Errors of libraries quote what they read, at
// any length.
func Brief(err error) error {
	if err == nil || len(err.Error()) <= longest && !strings.ContainsAny(err.Error(), "\r\n") {
		return err
	}
	return brief{err}
}

// longest is how many bytes of an error are told.
const longest = 200

// brief is a long error.
type brief struct{ error }

// Error returns the beginning of the text.
func (b brief) Error() string {
	text := strings.Join(strings.Fields(b.error.Error()), " ")
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + " ..."
	}
	return text
}

// Unwrap returns the whole error.
func (b brief) Unwrap() error { return b.error }
