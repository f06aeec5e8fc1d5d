package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/data/images"
)

// dataPath is what --data names of v; empty: nothing, several texts, or v has no such flag.
func dataPath(v view) string {
	if flag := flagSet(v.flags()).Lookup("data"); flag != nil && !strings.Contains(flag.Value.String(), "\n") {
		return flag.Value.String()
	}
	return ""
}

// otherData is err, or if it comes of data at path that another command learns, an error that names this one.
func otherData(path string, err error) error {
	switch {
	case path == "":
	case errors.Is(err, data.ErrNotUTF8), errors.Is(err, data.ErrNoText):
		switch of, e := ofImages(path); {
		case !of || e != nil:
		case isImage(path):
			return fmt.Errorf("%s is an image, and no text; bdia train images learns a folder that has a folder of images for each class", path)
		default:
			return fmt.Errorf("%s holds images, and no text; bdia train images --data %[1]s learns them", path)
		}
	case errors.Is(err, images.ErrNoImages):
		if _, e := data.Open(path, data.SourceOptions{MaxBytes: 1 << 16}); e == nil {
			return fmt.Errorf("%s holds text, and no images; bdia train text --data %[1]s learns it", path)
		}
	}
	return err
}
