//go:build amd64 && !noasm && !linux

package cpufeat

import "errors"

func permitTiles() error { return errors.New("only Linux is known to grant them") }
