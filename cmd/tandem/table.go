package main

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// cell is a piece of text in a table.
type cell struct {
	text string
	tone tone
}

// text is a cell without a tone; nothing is shown as "-".
func text(v any) cell {
	s := fmt.Sprint(v)
	if s == "" {
		return cell{"-", quiet}
	}
	return cell{text: s}
}

// table is rows of cells under a head, aligned by the widest.
type table struct {
	head []string
	rows [][]cell
}

func (t *table) add(cells ...cell) { t.rows = append(t.rows, cells) }

// print writes the table, indented; the last column is as long as it likes.
func (t *table) print(u *ui, indent string) {
	width := make([]int, len(t.head))
	for i, h := range t.head {
		width[i] = utf8.RuneCountInString(h)
	}
	for _, row := range t.rows {
		for i, c := range row {
			width[i] = max(width[i], utf8.RuneCountInString(c.text))
		}
	}
	write := func(row []cell) {
		var b strings.Builder
		b.WriteString(indent)
		for i, c := range row {
			b.WriteString(u.paint(c.tone, c.text))
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", width[i]-utf8.RuneCountInString(c.text)+2))
			}
		}
		u.line("%s", b.String())
	}
	head := make([]cell, len(t.head))
	for i, h := range t.head {
		head[i] = cell{h, quiet}
	}
	write(head)
	for _, row := range t.rows {
		write(row)
	}
}

// size is n bytes in the unit that leaves one to four digits.
func size(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, units := float64(n), "KMGTPE"
	i := -1
	for v >= 1023.95 && i < len(units)-1 { // what would be rounded to 1024.0 is 1.0 of the next unit
		v /= 1024
		i++
	}
	if i < 0 {
		v, i = v/1024, 0
	}
	return fmt.Sprintf("%.1f %ciB", v, units[i])
}

// grouped is n with a comma between thousands.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	start := 0
	if n < 0 {
		start = 1
	}
	for i := len(s) - 3; i > start; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// millis is a time in milliseconds.
func millis(ms float64) string {
	switch {
	case ms >= 1000:
		return fmt.Sprintf("%.2f s", ms/1000)
	case ms >= 100:
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.2f ms", ms)
}

// span is a duration in its two largest units.
func span(d time.Duration) string {
	d = max(d, 0)
	days, hours, minutes, seconds := int(d.Hours())/24, int(d.Hours())%24, int(d.Minutes())%60, int(d.Seconds())%60
	switch {
	case days > 0:
		return fmt.Sprintf("%d d %d h", days, hours)
	case hours > 0:
		return fmt.Sprintf("%d h %d min", hours, minutes)
	case minutes > 0:
		return fmt.Sprintf("%d min %d s", minutes, seconds)
	}
	return fmt.Sprintf("%d s", seconds)
}

// plural is n of a thing.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// joined is the values with ", " between them.
func joined[T ~string](values []T) string {
	s := make([]string, len(values))
	for i, v := range values {
		s[i] = string(v)
	}
	return strings.Join(s, ", ")
}
