// Renders templates with Go's own text/template and sprig, as helm does, to check gotemplate.ts.
// Debian: golang-go golang-github-masterminds-sprig-dev golang-k8s-sigs-yaml-dev.
//
//	GO111MODULE=off GOPATH=/usr/share/gocode go run main.go <input.json >output.json
//
// Input: {"templates": {file: text}, "cases": [dot]}; output: [{file: text}] in the cases' order.
// A list of names under Capabilities.APIVersions becomes what templates call Has on.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"sigs.k8s.io/yaml"
)

type versions []string

func (v versions) Has(name string) bool {
	for _, known := range v {
		if known == name {
			return true
		}
	}
	return false
}

func main() {
	var input struct {
		Templates map[string]string
		Cases     []map[string]interface{}
	}
	if err := json.NewDecoder(os.Stdin).Decode(&input); err != nil {
		fail(err)
	}
	root := template.New("chart")
	funcs := sprig.TxtFuncMap()
	funcs["include"] = func(name string, dot interface{}) (string, error) {
		var text strings.Builder
		err := root.ExecuteTemplate(&text, name, dot)
		return text.String(), err
	}
	funcs["toYaml"] = func(value interface{}) (string, error) {
		text, err := yaml.Marshal(value)
		return strings.TrimSuffix(string(text), "\n"), err
	}
	root.Funcs(funcs)
	var files []string
	for file := range input.Templates {
		files = append(files, file)
	}
	sort.Strings(files)
	for _, file := range files {
		if _, err := root.New(file).Parse(input.Templates[file]); err != nil {
			fail(err)
		}
	}
	var output []map[string]string
	for _, dot := range input.Cases {
		capabilities := dot["Capabilities"].(map[string]interface{})
		var known versions
		for _, name := range capabilities["APIVersions"].([]interface{}) {
			known = append(known, name.(string))
		}
		capabilities["APIVersions"] = known
		rendered := map[string]string{}
		for _, file := range files {
			var text bytes.Buffer
			if err := root.ExecuteTemplate(&text, file, dot); err != nil {
				fail(err)
			}
			rendered[file] = text.String()
		}
		output = append(output, rendered)
	}
	if err := json.NewEncoder(os.Stdout).Encode(output); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
