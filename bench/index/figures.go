package main

import (
	"fmt"
	"slices"
)

// figures is the table: one row per figure, one column per store.
type figures struct {
	names []string
	cells map[string]map[string]string
}

func (t *figures) add(store string, fs ...figure) {
	for _, f := range fs {
		if !slices.Contains(t.names, f.Name) {
			t.names = append(t.names, f.Name)
		}
		if t.cells == nil {
			t.cells = map[string]map[string]string{}
		}
		if t.cells[f.Name] == nil {
			t.cells[f.Name] = map[string]string{}
		}
		t.cells[f.Name][store] = f.Value
	}
}

// print writes the table as Markdown.
func (t *figures) print(stores []string) {
	head, rule := "| |", "|---|"
	for _, s := range stores {
		head += " " + s + " |"
		rule += "---:|"
	}
	fmt.Println(head + "\n" + rule)
	for _, n := range t.names {
		line := "| " + n + " |"
		for _, s := range stores {
			line += " " + t.cells[n][s] + " |"
		}
		fmt.Println(line)
	}
}
