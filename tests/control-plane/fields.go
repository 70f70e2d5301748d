package main

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
)

// fields prints what OpenAPI does not say of the API's Go types, a line for each field:
//
//	TYPE FIELD NUMBER [pointer] [shown]
//
// TYPE is the OpenAPI name, FIELD the JSON name, NUMBER that of the protobuf field; `2.1` is field 1 in the message of field 2,
// which JSON does not show. `pointer`: a zero value differs from none.
// `shown`: JSON has the field whatever its value.
func fields() {
	seen := map[reflect.Type]bool{}
	var lines []string
	for _, object := range scheme.Scheme.AllKnownTypes() {
		lines = append(lines, walk(object, seen)...)
	}
	for _, object := range []any{apiextensions.CustomResourceDefinition{}, metav1.DeleteOptions{}} {
		lines = append(lines, walk(reflect.TypeOf(object), seen)...)
	}
	slices.Sort(lines)
	fmt.Fprintln(os.Stdout, strings.Join(lines, "\n"))
}

// walk gives the lines of a type and of all that it holds.
func walk(of reflect.Type, seen map[reflect.Type]bool) []string {
	switch of.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return walk(of.Elem(), seen)
	case reflect.Struct:
	default:
		return nil
	}
	if seen[of] || !strings.HasPrefix(of.PkgPath(), "k8s.io/") {
		return nil
	}
	seen[of] = true
	return members(of, modelName(of), "", seen)
}

// members gives the lines of a type's fields; within: the numbers of the messages that they are in.
func members(of reflect.Type, name, within string, seen map[reflect.Type]bool) []string {
	var lines []string
	for field := range slices.Values(reflect.VisibleFields(of)) {
		if len(field.Index) > 1 || !field.IsExported() {
			continue
		}
		tag := strings.Split(field.Tag.Get("json"), ",")
		proto := strings.Split(field.Tag.Get("protobuf"), ",")
		if field.Anonymous && tag[0] == "" && field.Type.Kind() == reflect.Struct && len(proto) > 1 {
			lines = append(lines, members(field.Type, name, within+proto[1]+".", seen)...)
			continue
		}
		if tag[0] == "" || tag[0] == "-" || len(proto) < 2 {
			continue
		}
		line := fmt.Sprintf("%s %s %s%s", name, tag[0], within, proto[1])
		isStruct := field.Type.Kind() == reflect.Struct
		leftOut := slices.Contains(tag, "omitzero") || slices.Contains(tag, "omitempty") && !isStruct
		if field.Type.Kind() == reflect.Pointer {
			line += " pointer"
		}
		if !leftOut {
			line += " shown"
		}
		lines = append(lines, line)
		lines = append(lines, walk(field.Type, seen)...)
	}
	return lines
}

// modelName is what OpenAPI calls a type: io.k8s.api.core.v1.Pod.
func modelName(of reflect.Type) string {
	host, path, _ := strings.Cut(of.PkgPath(), "/")
	labels := strings.Split(host, ".")
	slices.Reverse(labels)
	return strings.Join(labels, ".") + "." + strings.ReplaceAll(path, "/", ".") + "." + of.Name()
}
