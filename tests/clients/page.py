"""Drives the page of a running `sidenote serve` in headless Chromium, as a person would. Arguments: the link to the page, Chromium.

Prints one line of JSON with what was seen; the test compares. Everything the page loads, and every complaint of the browser, is
among it.
"""
import json
import sys

from playwright.sync_api import sync_playwright

QUESTION = "Who approves travel expenses?"
link, chromium = sys.argv[1:3]
home = link.split("#")[0]
seen = {"foreign_requests": [], "complaints": []}

with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(120_000)
    page = context.new_page()
    page.on("request", lambda r: None if r.url.startswith((home, "data:")) else seen["foreign_requests"].append(r.url))
    page.on("console", lambda m: seen["complaints"].append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: seen["complaints"].append(str(error)))

    page.goto(link)
    page.wait_for_selector("#view-ask:not([hidden])")
    seen["code_is_gone"] = "code" not in page.url

    page.fill("#question", QUESTION)
    page.keyboard.press("Enter")
    page.wait_for_selector(".notes li")
    seen["quote"] = page.locator(".notes li blockquote").first.text_content()
    page.locator(".reference button").first.click()
    page.wait_for_selector("#source-text mark")
    seen["marked"] = page.text_content("#source-text mark")
    seen["mark_has_focus"] = page.evaluate("document.activeElement.tagName") == "MARK"
    page.keyboard.press("Escape")
    seen["source_closes"] = page.locator("#source").is_hidden()

    page.fill("#question", QUESTION)
    page.locator("#ask-form [name=quotes]").check()
    page.keyboard.press("Tab")
    page.locator("#ask-form [type=submit]").click()
    page.wait_for_selector(".notes li")
    seen["quotes_only"] = page.locator(".found").first.text_content()
    page.locator("#ask-form [name=quotes]").uncheck()

    page.locator("#new-conversation button").click()
    seen["past"] = page.locator("#chats li").first.text_content()
    page.locator("#chats .link").first.click()
    page.wait_for_selector(".notes li")
    seen["quote_again"] = page.locator(".notes li blockquote").first.text_content()
    page.locator("#new-conversation button").click()
    page.locator("#chats li .forget button").first.click()
    page.locator("#chats li .danger").first.click()
    page.wait_for_selector("#past", state="hidden")

    page.goto(home + "#/search")
    page.fill("#query", "hotel night")
    page.keyboard.press("Enter")
    page.wait_for_selector("#hits li")
    seen["first_hit"] = page.locator("#hits li").first.text_content()

    page.goto(home + "#/documents")
    page.wait_for_selector("#documents >> text=kitchen.md")
    seen["documents"] = page.text_content("#documents")
    # What a document says is text, also where it looks like markup.
    seen["images"] = page.locator("img").count()
    page.reload()
    page.wait_for_selector("#documents >> text=kitchen.md")
    browser.close()

print(json.dumps(seen))
