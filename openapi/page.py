"""The reference page: the OpenAPI document as one HTML file, without scripts and without network.

How it looks is in page.css.
"""

import re
from html import escape
from pathlib import Path

from openapi import curl
from openapi.markup import badge, code, example, markdown, rows
from openapi.schema_markup import Types
from openapi.schemas import Json

_CSS = Path(__file__).with_name("page.css")


def page(document: Json) -> str:
    """Everything in the document, in its order: what one can call, then the schemas."""
    title = escape(document["info"]["title"])
    types = Types(document["components"]["schemas"])
    calls = "".join(_group(document, tag, types) for tag in document["tags"])
    return types.linked(f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>{_CSS.read_text(encoding="utf-8")}</style>
</head>
<body>
<nav aria-label="Contents">
<p class="brand"><a href="#top">{title}</a></p>
{_contents(document)}
</nav>
<main id="top">
<header>
<h1>{title} <small>{escape(document["info"]["version"])}</small></h1>
{markdown(document["info"]["description"])}
<p>This page as an <a href="openapi.json">OpenAPI {document["openapi"]} document</a>.</p>
</header>
{calls}
<section>
<h2 id="schemas">Schemas</h2>
{"".join(map(types.section, document["components"]["schemas"]))}
</section>
</main>
</body>
</html>
""")


def _contents(document: Json) -> str:
    parts = []
    for tag in document["tags"]:
        links = "".join(
            f'<li><a href="#{op["operationId"]}">{badge(verb)}<span>{escape(op["summary"])}</span>'
            "</a></li>"
            for _, verb, op in _operations(document, tag)
        )
        parts.append(f'<h2><a href="#{_anchor(tag)}">{tag["name"]}</a></h2><ul>{links}</ul>')
    links = "".join(
        f'<li><a href="#{name}"><span>{name}</span></a></li>'
        for name in document["components"]["schemas"]
    )
    parts.append(
        f'<h2><a href="#schemas">Schemas</a></h2><details><summary>all</summary><ul>{links}</ul>'
        "</details>"
    )
    return "".join(parts)


def _operations(document: Json, tag: Json) -> list[tuple[str, str, Json]]:
    return [
        (path, verb, operation)
        for path, verbs in document["paths"].items()
        for verb, operation in verbs.items()
        if tag["name"] in operation["tags"]
    ]


def _anchor(tag: Json) -> str:
    return tag["name"].lower().replace(" ", "-")  # type: ignore[no-any-return]


def _group(document: Json, tag: Json, types: Types) -> str:
    articles = "".join(_article(*each, types) for each in _operations(document, tag))
    heading = f'<h2 id="{_anchor(tag)}">{tag["name"]}</h2>{markdown(tag["description"])}'
    return f"<section>{heading}{articles}</section>"


def _article(path: str, verb: str, operation: Json, types: Types) -> str:
    name = operation["operationId"]
    answer = operation["responses"]["200"]
    return f"""<article id="{name}">
<h3><a href="#{name}">{escape(operation["summary"])}</a></h3>
<p class="call">{badge(verb)} {code(path)}</p>
<div class="columns">
<div class="said">
{markdown(operation["description"])}
{_ids(path)}
{_parameters(operation, "query", "Query", types)}
{_parameters(operation, "header", "Headers", types)}
{_body(operation, types)}
<h4>Answer</h4>
{markdown(answer["description"])}
{"".join(_answer(kind, media, types) for kind, media in answer["content"].items())}
<p>Anything else is an error: {types.link("rpcStatus")}.</p>
</div>
<div class="shown">
{example("Call", curl.lines(path, verb, operation))}
{"".join(example(kind, media["example"]) for kind, media in answer["content"].items())}
</div>
</div>
</article>
"""


def _ids(path: str) -> str:
    ids = " ".join(code(name) for name in re.findall(r"\{(\w+)\}", path))
    return f"<h4>Path</h4><p>{ids}</p>"


def _parameters(operation: Json, place: str, title: str, types: Types) -> str:
    chosen = [each for each in operation["parameters"] if each["in"] == place]
    if not chosen:
        return ""
    return f"<h4>{title}</h4>" + rows(
        (
            each["name"],
            types.inline(each["schema"]),
            each.get("required", False),
            each["description"],
        )
        for each in chosen
    )


def _body(operation: Json, types: Types) -> str:
    if "requestBody" not in operation:
        return ""
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    return f"<h4>Body</h4><p>{types.inline(schema)}</p>{types.fields(schema, written=True)}"


def _answer(kind: str, media: Json, types: Types) -> str:
    return f"<p>{code(kind)} {types.inline(media['schema'])}</p>"
