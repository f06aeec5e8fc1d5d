package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train/images"
	"github.com/bdia-go/bdia/train/pairs"
	"github.com/bdia-go/bdia/train/text"
)

// presets are the model sizes that have a name, task by task. A name that two tasks have is written with its task:
// images/tiny.
var presets = []struct {
	task  string
	room  string // before the slash
	names []string
}{
	{text.Name, "text", model.GPTPresets()},
	{images.Name, "images", model.ViTPresets()},
	{pairs.Name, "translation", model.Seq2SeqPresets()},
}

// presetNames lists the presets: plain names, and names of several tasks with their task.
func presetNames() (names []string) {
	tasks := map[string]int{}
	for _, p := range presets {
		for _, name := range p.names {
			tasks[name]++
		}
	}
	for _, p := range presets {
		for _, name := range p.names {
			if tasks[name] > 1 {
				name = p.room + "/" + name
			}
			names = append(names, name)
		}
	}
	return names
}

// presetTask returns the task of the preset called name, and the name without it. The task is empty for an unknown
// name.
func presetTask(name string) (task, plain string, err error) {
	room, plain, apart := strings.Cut(name, "/")
	if !apart {
		room, plain = "", name
	}
	var whole []string
	for _, p := range presets {
		if slices.Contains(p.names, plain) && (room == "" || room == p.room) {
			task, whole = p.task, append(whole, p.room+"/"+plain)
		}
	}
	switch {
	case len(whole) > 1:
		return "", plain, fmt.Errorf("--preset %s is a size of several tasks; write %s", name, strings.Join(whole, " or "))
	case len(whole) == 0 && apart:
		return "", name, fmt.Errorf("--preset %s is not known; there are %s", name, strings.Join(presetNames(), ", "))
	}
	return task, plain, nil
}

// hasPreset reports whether a task has a preset of this plain name.
func hasPreset(task, name string) bool {
	for _, p := range presets {
		if p.task == task && slices.Contains(p.names, name) {
			return true
		}
	}
	return false
}

// presetOf returns the plain name of a preset, which has to be a size of task if another task has it.
func presetOf(task, name string) (plain string, err error) {
	if !strings.Contains(name, "/") && hasPreset(task, name) {
		return name, nil
	}
	other, plain, err := presetTask(name)
	if err == nil && other != task && other != "" {
		err = fmt.Errorf("--preset %s is a size of task %s; this is task %s", name, other, task)
	}
	return plain, err
}
