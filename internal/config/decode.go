package config

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"
)

// decoder fills a struct from a tree as the struct's tags say, and collects every fault on the way.
type decoder struct {
	file   string
	torn   bool // a part of the file could not be read: say nothing of what is missing
	faults Faults
	places map[string]place // of the values in the file, by path: "member.web1.address", "edge.http[1]"
	failed map[string]bool  // paths whose value could not be taken

	secrets map[string]place // where the placeholders of secrets stand, by name
}

func newDecoder(file string, syntax Faults) *decoder {
	return &decoder{file: file, torn: len(syntax) > 0, faults: syntax, places: map[string]place{}, failed: map[string]bool{}}
}

// taken is the place of a value that is in the file and has the form it must have.
func (d *decoder) taken(path string) (place, bool) {
	at, ok := d.places[path]
	return at, ok && !d.failed[path]
}

func (d *decoder) fault(at place, hint, format string, args ...any) {
	d.faults = append(d.faults, Fault{File: d.file, Line: at.line, Column: at.column, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// field is a key of the schema.
type field struct {
	index    int
	key      string
	required bool
	orOne    bool // a list of one may be written without brackets
	tag      reflect.StructTag
}

func fieldsOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		options := strings.Split(t.Field(i).Tag.Get("toml"), ",")
		if options[0] == "" || options[0] == "-" {
			continue
		}
		fields = append(fields, field{
			index:    i,
			key:      options[0],
			required: slices.Contains(options[1:], "required"),
			orOne:    slices.Contains(options[1:], "orone"),
			tag:      t.Field(i).Tag,
		})
	}
	return fields
}

// struct_ fills v from t. Keys that are missing get their defaults.
func (d *decoder) struct_(t *table, v reflect.Value, path string) {
	fields := fieldsOf(v.Type())
	for _, e := range t.entries {
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == e.name })
		if i < 0 {
			d.unknown(e, fields, path)
			continue
		}
		d.value(e.value, v.Field(fields[i].index), join(path, e.name), fields[i])
	}
	for _, f := range fields {
		if t.find(f.key) == nil {
			d.missing(t, v.Field(f.index), path, f)
		}
	}
}

func (d *decoder) unknown(e *entry, fields []field, path string) {
	hint := ""
	var keys []string
	for _, f := range fields {
		keys = append(keys, f.key)
	}
	if len(d.faults) < maxFaults { // beyond it nobody will read the hint
		hint = DidYouMean(e.name, keys)
	}
	if e.value.table != nil && !e.value.table.closed {
		d.fault(e.at, hint, "unknown table [%s]", join(path, e.name))
		return
	}
	d.fault(e.at, hint, "unknown key %q", e.name)
}

// missing sets a key that is not in the file to its default.
func (d *decoder) missing(t *table, v reflect.Value, path string, f field) {
	switch text, ok := f.tag.Lookup("default"); {
	case f.required && d.torn:
	case f.required:
		d.fault(t.at, "", "[%s] has no %q", path, f.key)
	case ok:
		// A default is TOML like any other value, and so is decoded like one; a test decodes them all.
		tree, _ := readTOML("default", []byte("x = "+text))
		newDecoder("", nil).value(tree.entries[0].value, v, path, f)
	case v.Kind() == reflect.Struct:
		newDecoder("", nil).struct_(&table{}, v, path)
	}
}

// value fills v from n.
func (d *decoder) value(n *node, v reflect.Value, path string, f field) {
	d.places[path] = n.at
	switch x := v.Addr().Interface().(type) {
	case *time.Duration:
		if d.is(n, unstable.String, path, "a duration in quotes, such as \"1h\"") {
			got, err := ParseDuration(n.text)
			if err == nil {
				err = atLeast(got, f)
			}
			d.set(n, path, err, func() { *x = got })
		}
		return
	case *Rate:
		if d.is(n, unstable.String, path, "a rate in quotes, such as \"20 Mbit/s\"") {
			got, err := ParseRate(n.text)
			d.set(n, path, err, func() { *x = got })
		}
		return
	case *Hours:
		if d.is(n, unstable.String, path, "a text in quotes, such as \"mon-fri 08:00-18:00 5 Mbit/s\"") {
			got, err := ParseHours(n.text)
			d.set(n, path, err, func() { *x = got })
		}
		return
	case *Size:
		if d.is(n, unstable.String, path, "a size in quotes, such as \"1GiB\"") {
			got, err := ParseSize(n.text)
			d.set(n, path, err, func() { *x = got })
		}
		return
	case *netip.Prefix:
		if d.is(n, unstable.String, path, "an address or a network in quotes, such as \"192.0.2.0/24\"") {
			got, err := ParseNetwork(n.text)
			d.set(n, path, err, func() { *x = got })
		}
		return
	case *Share:
		if d.is(n, unstable.String, path, "a share in quotes, such as \"10%\"") {
			got, err := ParseShare(n.text)
			d.set(n, path, err, func() { *x = got })
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		if d.is(n, unstable.InlineTable, path, "a table") {
			d.struct_(n.table, v, path)
		}
	case reflect.Map:
		if d.is(n, unstable.InlineTable, path, "a table") {
			d.map_(n.table, v, path, f)
		}
	case reflect.Slice:
		d.slice(n, v, path, f)
	case reflect.Bool:
		if d.is(n, unstable.Bool, path, "true or false") {
			v.SetBool(n.text == "true")
		}
	case reflect.Int:
		d.int_(n, v, path, f)
	case reflect.String:
		if d.is(n, unstable.String, path, "a text in quotes") {
			d.set(n, path, cmp.Or(oneOf(n.text, f), d.secret(n, f)), func() { v.SetString(n.text) })
		}
	}
}

// secret notes the placeholder of a secret, which stands alone, where it may stand.
func (d *decoder) secret(n *node, f field) error {
	names := SecretsIn(n.text)
	if len(names) == 0 {
		return nil
	}
	if f.tag.Get("secret") == "" {
		return errors.New("a secret can stand for password in [certificates] and mac_key in [acme] only")
	}
	name, alone := SecretName(n.text)
	if !alone {
		return fmt.Errorf("the placeholder of a secret must be the whole text, as in \"{%s%s}\"", secretPrefix, names[0])
	}
	if d.secrets == nil {
		d.secrets = map[string]place{}
	}
	d.secrets[name] = n.at
	return nil
}

// is reports a fault unless n is of the kind.
func (d *decoder) is(n *node, kind unstable.Kind, path, want string) bool {
	if n.kind == kind {
		return true
	}
	d.failed[path] = true
	d.fault(n.at, "", "%q must be %s", path, want)
	return false
}

// set calls assign unless err is a fault of the value.
func (d *decoder) set(n *node, path string, err error, assign func()) {
	if err != nil {
		d.failed[path] = true
		d.fault(n.at, "", "%q: %s", path, err)
		return
	}
	assign()
}

func (d *decoder) map_(t *table, v reflect.Value, path string, f field) {
	v.Set(reflect.MakeMap(v.Type()))
	for _, e := range t.entries {
		d.places[join(path, e.name)+"#"] = e.at
		elem := reflect.New(v.Type().Elem()).Elem()
		d.value(e.value, elem, join(path, e.name), field{tag: f.tag})
		v.SetMapIndex(reflect.ValueOf(e.name), elem)
	}
}

func (d *decoder) slice(n *node, v reflect.Value, path string, f field) {
	items := []*node{n}
	if n.kind == unstable.Array {
		items = n.items
	} else if !f.orOne {
		d.failed[path] = true
		d.fault(n.at, "", "%q must be a list in brackets", path)
		return
	}
	all := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		d.value(item, all.Index(i), fmt.Sprintf("%s[%d]", path, i), field{tag: f.tag})
	}
	v.Set(all)
}

func (d *decoder) int_(n *node, v reflect.Value, path string, f field) {
	if !d.is(n, unstable.Integer, path, "a whole number") {
		return
	}
	low, high := bounds(f)
	got, err := strconv.ParseInt(strings.ReplaceAll(n.text, "_", ""), 0, 64)
	if err != nil || got < low || got > high {
		err = fmt.Errorf("%s is not a whole number from %d to %d", n.text, low, high)
		if high == math.MaxInt32 {
			err = fmt.Errorf("%s is not a whole number of at least %d", n.text, low)
		}
	}
	d.set(n, path, err, func() { v.SetInt(got) })
}

// bounds are the least and greatest values of a number.
func bounds(f field) (low, high int64) {
	high = math.MaxInt32
	if s := f.tag.Get("min"); s != "" {
		low, _ = strconv.ParseInt(s, 10, 64)
	}
	if s := f.tag.Get("max"); s != "" {
		high, _ = strconv.ParseInt(s, 10, 64)
	}
	return low, high
}

func atLeast(d time.Duration, f field) error {
	if least, err := ParseDuration(f.tag.Get("min")); err == nil && d < least {
		return fmt.Errorf("%s is less than %s", d, f.tag.Get("min"))
	}
	return nil
}

func oneOf(s string, f field) error {
	all := f.tag.Get("values")
	if all == "" || slices.Contains(strings.Split(all, "|"), s) {
		return nil
	}
	return fmt.Errorf("%q is not one of %s", s, strings.ReplaceAll(all, "|", ", "))
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
