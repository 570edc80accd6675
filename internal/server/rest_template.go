package server

import (
	"context"
	"net/http"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/graph"
)

type templateSummary struct {
	TemplateID  string `json:"template_id"`
	Name        string `json:"name"`
	Description string `json:"description"`
	Version     string `json:"version"`
}

type templateList struct {
	Templates []templateSummary `json:"templates"`
}

func (a *api) registerTemplates() {
	handle(a, route{
		method: http.MethodGet, path: "/templates", id: "list-templates", tag: "templates", summary: "List the blueprints",
	}, func(context.Context, *struct{}) (*answer[templateList], error) {
		list := templateList{Templates: []templateSummary{}}
		for _, bp := range a.s.cfg.Templates.All() {
			list.Templates = append(list.Templates, templateSummary{
				TemplateID: bp.ID(), Name: bp.Name(), Description: bp.Description(), Version: bp.Version(),
			})
		}
		return &answer[templateList]{Body: list}, nil
	})
	handle(a, route{
		method: http.MethodGet, path: "/templates/{id}/schema", id: "template-schema", tag: "templates",
		summary: "Describe a blueprint: node types, properties, link types",
	}, func(_ context.Context, p *struct {
		ID string `path:"id" doc:"The template"`
	}) (*answer[graph.Schema], error) {
		bp := a.s.cfg.Templates.Get(p.ID)
		if bp == nil {
			return nil, fault.New(fault.TemplateNotFound, "unknown template %q", clip(p.ID))
		}
		return &answer[graph.Schema]{Body: bp.Schema()}, nil
	})
}
