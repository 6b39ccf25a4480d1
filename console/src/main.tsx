import "./style/fonts.css";
import "./style/theme.css";
import "./style/base.css";
import "./style/fleet.css";
import "./style/views.css";
import "./style/plan.css";
import { render } from "preact";
import { takeToken } from "./state";
import { App } from "./ui/App";

const root = document.getElementById("app");
if (root) render(<App />, root);
takeToken();
