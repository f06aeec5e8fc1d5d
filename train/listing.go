package train

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// Setting is one setting of a task, as bdia.yaml has it.
type Setting struct {
	Name  string // section and key, for example "model.width"
	Value string
}

// Settings lists the settings of t in the order of bdia.yaml.
func Settings(t Task) (list []Setting) {
	var walk func(v reflect.Value, section string)
	walk = func(v reflect.Value, section string) {
		for i := range v.NumField() {
			f := v.Type().Field(i)
			key, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			value := v.Field(i)
			switch text, isText := value.Interface().(fmt.Stringer); {
			case f.Anonymous || options == "inline":
				walk(value, section)
			case key == "" || key == "-":
			case isText:
				list = append(list, Setting{section + key, text.String()})
			case value.Kind() == reflect.Struct:
				walk(value, section+key+".")
			default:
				list = append(list, Setting{section + key, fmt.Sprint(value.Interface())})
			}
		}
	}
	walk(reflect.ValueOf(t.Config()).Elem(), "")
	return list
}

// Parameters counts the numbers of the model of t, and of them the ones that training changes.
func Parameters(t Synthetic) (all, trainable int64, err error) {
	be, err := backend.NewPlan(t.Common().Engine)
	if err != nil {
		return 0, 0, err
	}
	if err := t.Validate(); err != nil {
		return 0, 0, err
	}
	l, err := t.Blank(be)
	if err != nil {
		return 0, 0, err
	}
	return tensor.Elements(l.Params()), tensor.Elements(l.Trainable()), nil
}
