"""An agent of LangChain with a model of langchain-openai and a tool of its own."""

from langchain.agents import create_agent
from langchain.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain.tools import tool
from langchain_openai import ChatOpenAI
from said import MODEL, PROMPTS, URL, Answer, read_notes, say

model = ChatOpenAI(model=MODEL, base_url=f"{URL}/v1", api_key="none", streaming=True)
agent = create_agent(model, tools=[tool(read_notes)])
messages = []


def ask(step):
    global messages
    messages.append(HumanMessage(PROMPTS[step]))
    latest = messages

    def pieces():
        nonlocal latest
        for mode, value in agent.stream({"messages": messages}, stream_mode=["messages", "values"]):
            if mode == "values":
                latest = value["messages"]
            elif isinstance(value[0], AIMessageChunk):
                yield value[0].text

    answer = Answer().read(pieces())
    messages = [*latest, AIMessage(answer.text)] if answer.broke else list(latest)
    say(step, answer.text, answer.broke)


for step in ("tool", "slow", "again"):
    ask(step)
