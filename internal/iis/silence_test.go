package iis_test

import (
	"encoding/xml"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"tandem/internal/iis"
	"tandem/internal/iis/iistest"
)

var startTag = regexp.MustCompile(`<[A-Za-z][A-Za-z0-9.]*`)

// silent are elements in which an attribute that nobody knows may go unsaid, and why.
var silent = map[string]string{
	"configSections":                                                        "it declares sections",
	"configSections/section":                                                "it declares sections",
	"configSections/sectionGroup":                                           "it declares sections",
	"configSections/sectionGroup/section":                                   "it declares sections",
	"system.webServer/validation":                                           "about what IIS does with old configurations",
	"system.webServer/globalModules":                                        "modules of IIS",
	"system.webServer/globalModules/add":                                    "modules of IIS",
	"system.webServer/modules/add":                                          "modules of IIS; those of others are reported",
	"system.webServer/modules/remove":                                       "modules of IIS",
	"system.webServer/caching":                                              "how the server makes itself fast",
	"system.webServer/rewrite/rules/rule":                                   "disabled",
	"system.webServer/rewrite/rules/rule/match":                             "disabled",
	"system.webServer/rewrite/rules/rule/action":                            "disabled",
	"system.webServer/rewrite/outboundRules/preConditions":                  "said with the rules that refer to them",
	"system.webServer/rewrite/outboundRules/preConditions/preCondition":     "said with the rules that refer to them",
	"system.webServer/rewrite/outboundRules/preConditions/preCondition/add": "said with the rules that refer to them",
	"system.webServer/security/authentication/basicAuthentication":          "whether there is one is what counts",
	"system.webServer/security/authentication/windowsAuthentication":        "whether there is one is what counts",
	"system.applicationHost/sites/siteDefaults/traceFailedRequestsLogging":  "traces of IIS's inside",
	"system.applicationHost/sites/site":                                     "not asked for",
	"system.applicationHost/sites/site/application":                         "not asked for",
	"system.applicationHost/sites/site/application/virtualDirectory":        "not asked for",
	"system.applicationHost/sites/site/bindings":                            "not asked for",
	"system.applicationHost/sites/site/bindings/binding":                    "not asked for",
}

// TestNothingIsDroppedInSilence puts an attribute that nobody knows into each element, one at a time: there has to be a
// finding that names it, or the whole of an element around it.
func TestNothingIsDroppedInSilence(t *testing.T) {
	unused := map[string]bool{}
	for tag := range silent {
		unused[tag] = true
	}
	for _, s := range iistest.Servers(t, "testdata/import") {
		t.Run(s.Name, func(t *testing.T) {
			for i, f := range s.Archive.Files {
				if strings.HasPrefix(f.Name, "want") {
					continue
				}
				data := string(f.Data)
				for _, at := range startTag.FindAllStringIndex(data, -1) {
					tag := data[at[0]+1 : at[1]]
					s.Archive.Files[i].Data = []byte(data[:at[1]] + ` unknown="here"` + data[at[1]:])
					res, err := iis.Import(s.Options())
					if err != nil {
						continue // a server that can't be imported says so
					}
					line := 1 + strings.Count(data[:at[0]], "\n")
					if said(res, f.Name, line, data) {
						continue
					}
					where := wayTo(data[:at[0]], tag)
					if silent[where] == "" {
						t.Errorf("%s:%d: an unknown attribute of <%s> goes unsaid", f.Name, line, where)
					}
					delete(unused, where)
				}
				s.Archive.Files[i].Data = f.Data
			}
		})
	}
	for tag := range unused {
		t.Errorf("<%s> says what it does not know, and needs no leave", tag)
	}
}

// wayTo is the elements around a place, from the section on, and a last one.
func wayTo(before, last string) string {
	var open []string
	d := xml.NewDecoder(strings.NewReader(before))
	for {
		token, err := d.Token()
		if err != nil {
			break // the text ends in the middle
		}
		switch token := token.(type) {
		case xml.StartElement:
			if token.Name.Local != "configuration" && token.Name.Local != "location" {
				open = append(open, token.Name.Local)
			}
		case xml.EndElement:
			open = open[:max(0, len(open)-boolInt(token.Name.Local != "configuration" && token.Name.Local != "location"))]
		}
	}
	return strings.Join(append(open, last), "/")
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// said tells whether a finding is about the attribute, or about an element that spans the line.
func said(res *iis.Result, file string, line int, data string) bool {
	for _, f := range res.Findings {
		if strings.Contains(f.What, "unknown=") {
			return true
		}
		if !strings.HasSuffix(strings.ToLower(f.File), strings.ToLower(file)) || f.Line > line || f.Kind == iis.Check {
			continue
		}
		if f.Line == line || endOf(data, f.Line) >= line && strings.HasPrefix(f.What, "<") {
			return true
		}
	}
	return false
}

// endOf is the line at which the first element on a line ends.
func endOf(data string, line int) int {
	lines := strings.Split(data, "\n")
	indent := len(lines[line-1]) - len(strings.TrimLeft(lines[line-1], " "))
	tag := strings.TrimLeft(startTag.FindString(lines[line-1]), "<")
	for i := line; i < len(lines); i++ {
		if strings.HasPrefix(lines[i], fmt.Sprintf("%s</%s>", strings.Repeat(" ", indent), tag)) {
			return i + 1
		}
	}
	return line
}
