package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"tandem/internal/farm"
)

// Reference is the description of all keys of farm.toml and member.toml in Markdown, made from the tags that the decoder
// obeys, so that it can't go stale.
func Reference() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\nShared by all members. An unknown key is a fault.\n", FarmFile)
	t := reflect.TypeFor[farmFile]()
	for _, f := range fieldsOf(t) {
		referTable(&b, f, t.Field(f.index).Type)
	}
	fmt.Fprintf(&b, "\n## %s\n\nThe only file that is not shared.\n\n", MemberFileName)
	t = reflect.TypeFor[MemberFile]()
	referKeys(&b, t)
	for _, f := range fieldsOf(t) {
		if isTable(t.Field(f.index).Type) {
			referTable(&b, f, t.Field(f.index).Type)
		}
	}
	return b.String()
}

func isTable(t reflect.Type) bool {
	return t.Kind() == reflect.Struct || t.Kind() == reflect.Map && t.Elem().Kind() == reflect.Struct
}

func referTable(b *strings.Builder, f field, t reflect.Type) {
	name := f.key
	if t.Kind() == reflect.Map {
		name, t = name+".NAME", t.Elem()
	}
	fmt.Fprintf(b, "\n### [%s]\n\n%s.\n\n", name, upperFirst(f.tag.Get("doc")))
	referKeys(b, t)
}

func referKeys(b *strings.Builder, t reflect.Type) {
	b.WriteString("| key | type | default | meaning |\n|---|---|---|---|\n")
	for _, f := range fieldsOf(t) {
		ft := t.Field(f.index).Type
		if isTable(ft) {
			continue
		}
		usual := "none"
		if text, ok := f.tag.Lookup("default"); ok {
			usual = "`" + text + "`"
		} else if f.required {
			usual = "required"
		}
		meaning := f.tag.Get("doc")
		if values := f.tag.Get("values"); values != "" {
			meaning += "; one of `" + strings.ReplaceAll(values, "|", "`, `") + "`"
		}
		if least := f.tag.Get("min"); least != "" {
			meaning += "; at least " + least
		}
		if most := f.tag.Get("max"); most != "" {
			meaning += ", at most " + most
		}
		if example := f.tag.Get("example"); example != "" {
			meaning += "; example: `" + example + "`"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", f.key, typeName(ft, f), usual, strings.ReplaceAll(meaning, "|", `\|`))
	}
}

func typeName(t reflect.Type, f field) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "duration"
	case t == reflect.TypeFor[Size]():
		return "size"
	case t == reflect.TypeFor[Rate]():
		return "rate"
	case t == reflect.TypeFor[Share]():
		return "share"
	case t == reflect.TypeFor[[]farm.Role]() || t.Kind() == reflect.Slice && !f.orOne:
		return "list of texts"
	case t == reflect.TypeFor[[]netip.Prefix]():
		return "network or list of networks"
	case t.Kind() == reflect.Slice:
		return "text or list of texts"
	case t.Kind() == reflect.Map:
		return "table of texts"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Int:
		return "number"
	}
	return "text"
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
