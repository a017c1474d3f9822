package config

import (
	"encoding/json"
	"regexp"
	"strings"
)

// secretInJSON matches the placeholder of a secret within a string of JSON, where a backslash is two.
var secretInJSON = regexp.MustCompile(`(?:\\\\)?\{secret\.[a-z0-9_-]+\}`)

// Fill puts the values of secrets into JSON that was made of a text that Expand has returned. No value passes through the
// language of site files, so whatever means something there is a character like others. What has no value stays.
func (v Vars) Fill(src []byte) []byte {
	return secretInJSON.ReplaceAllFunc(src, func(p []byte) []byte {
		if p[0] == '\\' {
			return p
		}
		value := v.Secrets[string(p[len("{"+secretPrefix):len(p)-1])]
		if value == "" {
			return p
		}
		quoted, err := json.Marshal(value)
		if err != nil {
			return p // text can always be quoted
		}
		return quoted[1 : len(quoted)-1]
	})
}

// tellingBytes is the length of what two texts don't share by chance.
const tellingBytes = 4

// Reveals tells whether a text shows one of the secrets, or a part of one.
func (v Vars) Reveals(text string, names []string) bool {
	for _, name := range names {
		value := v.Secrets[name]
		n := min(len(value), tellingBytes)
		for i := 0; n > 0 && i+n <= len(value); i++ {
			if strings.Contains(text, value[i:i+n]) {
				return true
			}
		}
	}
	return false
}

// Hide takes the message out of faults that reveal a secret which the file uses. Where they are is still said.
func (v Vars) Hide(faults Faults, names []string) Faults {
	for i, f := range faults {
		if v.Reveals(f.Message, names) || v.Reveals(f.Hint, names) {
			faults[i].Message = "the value of " + placeholderList(names) + " is not taken here"
			faults[i].Hint = "what exactly is wrong is not shown, because it would show the value"
		}
	}
	return faults
}

func placeholderList(names []string) string {
	var all []string
	for _, name := range names {
		all = append(all, "{"+secretPrefix+name+"}")
	}
	return strings.Join(all, " or ")
}
